"""Does a policy that was trained on a translated ruleset score the same on the original? Trained by PPO here, played in XLand-MiniGrid itself.

    python benchmarks/xland_transfer.py --peer-python PYTHON [--rulesets N] [--side N] [--steps N] [--episodes N] [--out DIR]

``PYTHON`` is the interpreter of an environment with xminigrid (`xland_transfer_peer`). For each ruleset a policy is trained on its translation. Then
the same weights act, always with the likeliest action, in the same number of episodes of the original and of the translation, which begin
as the original's do. What the policy sees of the original is made of the original's own view, pocket, direction and clock, so that nothing of the
translation comes in but names of types. Starts that are drawn here are scored as well: they are distributed as the original's, not equal.

Prints a line for each ruleset: success and return there and here, in how many episodes the two returns differ, by how much at most, and
success from the starts that are drawn here, with its standard error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import xland_rulesets as rulesets  # noqa: E402
from xland_equal import begun, numbered  # noqa: E402

from jaxrl_envs.specs import language  # noqa: E402
from jaxrl_envs.specs.caps import MOST_HELD, PRESETS  # noqa: E402
from jaxrl_envs.specs.encoding import params_of  # noqa: E402
from jaxrl_envs.specs.engine import engine  # noqa: E402
from jaxrl_envs.specs.model import GridSpec  # noqa: E402
from jaxrl_envs.specs.xland import tiles_of, translate  # noqa: E402
from jaxrl_evolve import TrainConfig, load, train  # noqa: E402

Arrays = dict[str, np.ndarray]
SIZE = "medium"


class Scores(NamedTuple):
    """Of each episode its return, float64 ``[E]``, and whether it was won, bool."""

    returns: np.ndarray
    won: np.ndarray


class Original:
    """Episodes of the original, in a process of its own."""

    def __init__(self, peer: str, side: int, ruleset: int, episodes: int, seed: int) -> None:
        program = Path(__file__).with_name("xland_transfer_peer.py")
        command = [peer, str(program), *map(str, (side, ruleset, episodes, seed))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Original:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # it ends where there are no more actions

    def step(self, action: np.ndarray | None = None) -> Arrays:
        """What came of the actions, int32 ``[E]``; without any, the starts."""
        pipes: Any = self._process
        if action is not None:
            pipes.stdin.write(action.astype(np.int32).tobytes())
            pipes.stdin.flush()
        size = int.from_bytes(pipes.stdout.read(8), "little")
        if not size:
            raise SystemExit("the interpreter of --peer-python has ended; what it said stands above")
        return dict(np.load(BytesIO(pipes.stdout.read(size))))


def seen_of(told: Arrays, tiles: np.ndarray, time: int, spec: GridSpec) -> np.ndarray:
    """The observation of `jaxrl_envs.specs.view.look_ahead`, float32 ``[E, D]``, of what the original tells.

    Args:
        told: by the peer.
        tiles: tile and colour of each type, ``[types, 2]``.
        time: steps that are over.
        spec: for its time limit, and its one predicate, the goal, which ends the episode when it holds.
    """
    caps, count = PRESETS[SIZE], len(told["direction"])
    pairs = np.broadcast_to(tiles, (count, *tiles.shape))
    kinds = np.arange(caps.types)
    view = numbered(told["observation"], pairs).reshape(count, -1, 1) == kinds
    pocket = numbered(told["pocket"], pairs)[:, None]
    wide = lambda x: np.full((count, 1), x, np.float32)
    goal = np.zeros((count, caps.predicates), np.float32)
    asked = np.zeros((caps.clauses, caps.predicates), np.float32)
    asked[0, 0] = 1
    goal[:, 0] = told["won"]
    parts = [
        view.reshape(count, -1),
        ((pocket == kinds) & (pocket > 0)) / np.float32(MOST_HELD),
        wide(1),  # health
        told["direction"][:, None] == np.arange(4),
        wide(min(np.float32(time) / np.float32(spec.time_limit), 1)),
        goal,
        goal,
        np.broadcast_to(asked.reshape(-1), (count, asked.size)),
    ]
    return np.concatenate([np.asarray(part, np.float32) for part in parts], axis=1)


def scored(step: Any, spec: GridSpec, episodes: int) -> Scores:
    """Scores of episodes that ``step(t) -> (reward, won, last)`` goes on with."""
    returns, won, over = np.zeros(episodes), np.zeros(episodes, bool), np.zeros(episodes, bool)
    for t in range(spec.time_limit):
        reward, wins, last = step(t)
        returns += np.where(over, 0, reward)
        won |= wins & ~over
        over |= last
        if over.all():
            break
    return Scores(returns, won)


def on_original(policy: Any, original: Original, start: Arrays, tiles: np.ndarray, spec: GridSpec) -> Scores:
    """Scores of the policy in the original, whose starts it has told."""
    now = start

    def step(t: int) -> tuple[Any, Any, Any]:
        nonlocal now
        now = original.step(np.asarray(policy(jnp.asarray(seen_of(now, tiles, t, spec)))))
        return now["reward"], now["won"], now["last"]

    return scored(step, spec, len(start["direction"]))


def on_translation(policy: Any, obs: Any, state: Any, programs: Any, params: Any, spec: GridSpec) -> Scores:
    """Scores of the policy in the translation, from an observation and a state on."""
    keys = jax.random.split(jax.random.key(0), len(obs))  # a carrier's step draws nothing

    def step(t: int) -> tuple[Any, Any, Any]:
        nonlocal obs, state
        out = programs[1](keys, state, jnp.asarray(policy(obs), jnp.int32), params)
        obs, state = out.obs, out.state
        return tuple(map(np.asarray, (out.reward, out.terminated, out.terminated | out.truncated)))

    return scored(step, spec, len(obs))


def trained(spec: GridSpec, out: Path, steps: int, seed: int) -> Any:
    """The policy as ``obs [E, D] -> action [E]``, compiled."""
    path = out / "spec.json"
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(language("grid").write(spec)))
    options = {"path": str(path), "view": rulesets.VIEW, "size": SIZE}
    config = TrainConfig.preset(
        "ppo", "specs/file", env_options=options, steps=steps, seeds=1, seed=seed, resets="optimistic:8"
    )
    train(config, out=str(out / "run"), quiet=True)
    policy = load(str(out / "run")).policy(run=0)
    return jax.jit(lambda obs: policy(obs, None)[0])


def transfer(args: argparse.Namespace, number: int, out: Path) -> int:
    """Trains on one ruleset and scores; in how many episodes the two differ."""
    spec = translate(*rulesets.drawn(number), height=args.side, width=args.side)
    policy = trained(spec, out / f"ruleset_{number}", args.steps, args.seed)
    made = engine(PRESETS[SIZE], rulesets.VIEW)
    programs = jax.jit(jax.vmap(made.reset)), jax.jit(jax.vmap(made.step))
    params = params_of(spec, SIZE)
    params = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (args.episodes, *leaf.shape)), params)
    obs, state = programs[0](jax.random.split(jax.random.key(args.seed), args.episodes), params)
    own = on_translation(policy, obs, state, programs, params, spec)
    tiles = np.full((PRESETS[SIZE].types, 2), 255, np.uint8)
    tiles[: len(spec.types) + 2] = tiles_of(spec)
    with Original(args.peer_python, args.side, number, args.episodes, args.seed) as original:
        start = original.step()
        there = on_original(policy, original, start, tiles, spec)
    told = {f"begin_{name}": leaf[None] for name, leaf in start.items()}
    pairs = np.broadcast_to(tiles, (args.episodes, *tiles.shape))
    state = begun(state, told, 0, pairs, np.ones(args.episodes, bool))
    here = on_translation(policy, jnp.asarray(seen_of(start, tiles, 0, spec)), state, programs, params, spec)
    apart = np.abs(here.returns - there.returns)
    differ = int(((here.won != there.won) | (apart > 1e-5)).sum())
    own_error = np.sqrt(max(own.won.var(), there.won.var()) / args.episodes)
    print(
        f"ruleset {number}: success {there.won.mean():.3f} there, {here.won.mean():.3f} here; return {there.returns.mean():.4f} there, "
        f"{here.returns.mean():.4f} here; {differ} of {args.episodes} episodes differ, at most by {apart.max():.2g}; "
        f"from own starts success {own.won.mean():.3f} (standard error {own_error:.3f})",
        flush=True,
    )
    return differ


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", required=True, help="interpreter of an environment with xminigrid")
    parser.add_argument("--rulesets", type=int, default=8)
    parser.add_argument("--side", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--episodes", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of the runs; a temporary one if not given")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = args.out or Path(folder)
        differ = sum(transfer(args, number, out) for number in range(args.rulesets))
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
