"""Is a translated ruleset the ruleset? XLand-MiniGrid plays random ones, and the specs that they are translated into must do the same.

    python benchmarks/xland_equal.py --peer-python PYTHON [--rulesets N] [--steps N]

``PYTHON`` is the interpreter of an environment with xminigrid (`xland_equal_peer`). The starts are the original's; after each step, in
episodes from start to end, maps, places, what is carried, views, ends and rewards (to one unit in the last place of 1) must be equal. Then
starts of our own are compared with the original's: how often the agent faces each way and stands in each row. Prints what it found.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xland_rulesets as rulesets

from jaxrl_envs.specs.caps import PRESETS
from jaxrl_envs.specs.encoding import encode
from jaxrl_envs.specs.engine import engine
from jaxrl_envs.specs.episode import GridState
from jaxrl_envs.specs.xland import tiles_of, translate

SIZE = "medium"
SIDES = (7, 13)
"""A room as crowded as can be, where rules fire often, and the usual one."""
Arrays = dict[str, Any]


def played(peer: str, side: int, count: int, steps: int, seed: int) -> Arrays:
    """What the original did, ``[steps, rulesets, ...]`` each."""
    program = Path(__file__).with_name("xland_equal_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "played.npz"
        subprocess.run([peer, str(program), str(path), *map(str, (side, count, steps, seed))], check=True)
        return dict(np.load(path))


@functools.cache
def programs() -> tuple[Any, Any]:
    """Reset and step of slots, compiled."""
    made = engine(PRESETS[SIZE], rulesets.VIEW)
    return jax.jit(jax.vmap(made.reset)), jax.jit(jax.vmap(made.step))


def numbered(tiles: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Numbers of types, int32 ``[rulesets, ...]``, of tiles ``[rulesets, ..., 2]``, by the tile of each type ``[rulesets, types, 2]``."""
    code = tiles[..., 0].astype(np.int32) * 16 + tiles[..., 1]
    known = pairs[..., 0].astype(np.int32) * 16 + pairs[..., 1]
    return np.stack([_looked_up(row, names) for row, names in zip(code, known, strict=True)])


def _looked_up(code: np.ndarray, names: np.ndarray) -> np.ndarray:
    found = code[..., None] == names
    if not found.any(-1).all():
        raise SystemExit("the original has a tile that the spec has no type for")
    return found.argmax(-1).astype(np.int32)


def begun(state: GridState, seen: Arrays, t: int, pairs: np.ndarray, where: np.ndarray) -> GridState:
    """Our state with the original's start where one begins."""
    caps = PRESETS[SIZE]
    cells = numbered(seen["begin_grid"][t], pairs)
    grid = np.zeros((len(cells), caps.side, caps.side), np.int8)
    grid[:, : cells.shape[1], : cells.shape[2]] = cells
    row, column = seen["begin_position"][t].astype(np.int32).T
    none = np.zeros((len(cells), caps.predicates), bool)
    fresh = state.replace(
        grid=grid,
        row=row,
        column=column,
        facing=seen["begin_direction"][t].astype(np.int32),
        inventory=np.zeros((len(cells), caps.types), np.int32),
        time=np.zeros(len(cells), np.int32),
        now=none,
        ever=none,
        progress=none.astype(np.float32),
        succeeded=np.zeros(len(cells), bool),
    )
    choose = lambda a, b: np.where(where.reshape(-1, *[1] * (np.ndim(b) - 1)), a, b)
    return jax.tree.map(choose, fresh, jax.device_get(state))


def compare(seen: Arrays, drawn: rulesets.Ruleset, side: int) -> tuple[dict[str, int], Any]:
    """How many steps differ in what, how many episodes were won; and the stacked parameters."""
    rows = [rulesets.Ruleset(*(leaf[i] for leaf in drawn)) for i in range(len(drawn.goal))]
    specs = [translate(*row, height=side, width=side) for row in rows]
    params = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *[encode(s, SIZE) for s in specs])
    pairs = np.full((len(specs), PRESETS[SIZE].types, 2), 255, np.uint8)
    for i, spec in enumerate(specs):
        pairs[i, : len(spec.types) + 2] = tiles_of(spec)
    reset, step = programs()
    keys = jax.random.split(jax.random.key(0), len(specs))
    _, state = reset(keys, params)
    counts = dict.fromkeys(("grid", "place", "pocket", "view", "reward", "end"), 0)
    where = np.ones(len(specs), bool)
    for t in range(len(seen["action"])):
        state = begun(state, seen, t, pairs, where)
        out = step(keys, state, jnp.asarray(seen["action"][t], jnp.int32), params)
        got: Any = jax.device_get(out)
        for name, equal in _equal(got, seen, t, pairs, side).items():
            counts[name] += int((~equal).sum())
        state, where = out.state, seen["last"][t]
    return counts, params


def _equal(got: Any, seen: Arrays, t: int, pairs: np.ndarray, side: int) -> dict[str, np.ndarray]:
    """By slot, whether a step is the original's."""
    state, caps = got.state, PRESETS[SIZE]
    pocket = numbered(seen["pocket"][t], pairs)
    held = np.where(state.inventory.any(1), state.inventory.argmax(1), 0)
    cells = got.obs[:, : rulesets.VIEW**2 * caps.types].reshape(len(pocket), -1, caps.types)
    view = numbered(seen["observation"][t], pairs).reshape(len(pocket), -1)
    rewards = np.abs(got.reward - seen["reward"][t].astype(np.float32))
    last = got.terminated | got.truncated
    return {
        "grid": (state.grid[:, :side, :side] == numbered(seen["grid"][t], pairs)).all((1, 2)),
        "place": (np.stack([state.row, state.column, state.facing], 1)
                  == np.c_[seen["position"][t], seen["direction"][t]]).all(1),
        "pocket": (held == pocket) & (state.inventory.sum(1) == (pocket > 0)),
        "view": (cells.argmax(-1) == view).all(1) & (cells.sum(-1) == 1).all(1),
        "reward": rewards <= np.spacing(np.float32(1)),  # of 1 - 0.9 t / T, which two programs may round apart
        "end": (got.terminated == seen["terminated"][t]) & (last == seen["last"][t]),
    }  # fmt: skip


def starts(params: Any, seen: Arrays, side: int) -> str:
    """How often the agent faces each way and stands in each row of the room, here and there."""
    reset = programs()[0]
    mine = []
    for i in range(8):
        keys = jax.random.split(jax.random.key(i), params.size.shape[0])
        mine.append(jax.device_get(reset(keys, params)[1]))
    share = lambda values, of: np.bincount(np.concatenate(values), minlength=of) / sum(map(len, values))
    first = np.concatenate([np.ones((1, *seen["last"].shape[1:]), bool), seen["last"][:-1]])
    theirs = [seen["begin_direction"][first]], [seen["begin_position"][..., 0][first]]
    ours = [s.facing for s in mine], [s.row for s in mine]
    lines = []
    for what, a, b, of in (("faces", ours[0], theirs[0], 4), ("row", ours[1], theirs[1], side)):
        said = [np.array2string(share(x, of), precision=3, suppress_small=True) for x in (a, b)]
        lines.append(
            f"  {what}: {said[0]} here ({sum(map(len, a))} starts), {said[1]} there ({sum(map(len, b))})"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", required=True, help="interpreter of an environment with xminigrid")
    parser.add_argument("--rulesets", type=int, default=1_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    differ = 0
    for n, side in enumerate(SIDES):
        count, seed = args.rulesets // len(SIDES), args.seed + n * args.rulesets
        seen = played(args.peer_python, side, count, args.steps, seed)
        counts, params = compare(seen, rulesets.many(count, seed), side)
        differ += sum(counts.values())
        print(
            f"{count} rulesets x {args.steps} steps on {side} x {side} cells: steps that differ in {counts}; "
            f"rules fired in {int(seen['ruled'].sum()):,} steps, {int(seen['terminated'].sum()):,} episodes were won"
        )
        print(starts(params, seen, side), flush=True)
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
