"""What a store of experience costs: adding to a buffer of a million steps beside adding to one of a thousand.

    python benchmarks/replay.py [--repeats N] [--peer-python PYTHON]

writes ``benchmarks/results/replay.md`` and ``.csv``. Timed are whole updates of a run, through the very chunk that training
compiles: a learner that only keeps what it sees, and DQN. With ``--peer-python``, an interpreter of an environment with
flashbax, its trajectory buffer adds and samples the same steps in a loop of its own. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import Learner, PolicyOutput, Store, make_chunk, random
from jaxrl_evolve.experience.replay import add, init_replay
from jaxrl_evolve.learners.dqn import DQNConfig, dqn
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.experiment import traced

CAPACITIES = (1_024, 131_072, 1_048_576)
NUM_ENVS, LENGTH, UPDATES = 16, 8, 400
PEER = """
import json, sys, time
import jax, jax.numpy as jnp, flashbax
rows, envs, length, updates, repeats = map(int, sys.argv[1:])
buffer = flashbax.make_trajectory_buffer(add_batch_size=envs, sample_batch_size=128, sample_sequence_length=2, period=1,
    min_length_time_axis=2, max_length_time_axis=rows)
step = {"obs": jnp.zeros((4,)), "action": jnp.int32(0), "reward": jnp.float32(0), "terminated": jnp.bool_(False), "next_obs": jnp.zeros((4,))}
state = jax.jit(buffer.init)(step)
def loop(state, key):
    def update(i, carry):
        state, total = carry
        new = jax.tree.map(lambda x: jnp.broadcast_to(x + i.astype(x.dtype), (envs, length, *x.shape)), step)
        state = buffer.add(state, new)
        drawn = buffer.sample(state, jax.random.fold_in(key, i))
        return state, total + drawn.experience["reward"].sum()
    return jax.lax.fori_loop(0, updates, update, (state, jnp.float32(0)))
run = jax.jit(loop, donate_argnums=0)
state, _ = run(state, jax.random.key(0))
times = []
for i in range(repeats):
    began = time.perf_counter()
    state, total = jax.block_until_ready(run(state, jax.random.key(i)))
    times.append((time.perf_counter() - began) / updates)
print(json.dumps(times))
"""


def still() -> Env:
    """An environment of four numbers that costs next to nothing."""

    def reset(key: jax.Array, params: Any) -> tuple[Any, Any]:
        del key, params
        return jnp.zeros((4,), jnp.float32), jnp.zeros((), jnp.int32)

    def step(key: jax.Array, state: Any, action: Any, params: Any) -> EnvStep:
        del key, params
        obs = jnp.full((4,), state + action, jnp.float32)
        return EnvStep(obs, state + 1, jnp.float32(1.0), state % 100 == 99, jnp.bool_(False), {})

    return Env("still", reset, step, (), Box(-1e9, 1e9, (4,)), Discrete(2))


def keeping(capacity: int) -> Learner:
    """A learner that keeps what it sees and does nothing with it."""

    def act(actor: Any, obs: Any, first: Any, memory: Any, key: Any, mode: Any = "explore") -> Any:
        del actor, obs, key, mode
        return jnp.zeros(first.shape, jnp.int32), memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))

    def update(key: Any, state: Any, t: Any, hp: Any, eta: Any, clock: Any, store: Any) -> Any:
        del key, t, hp, eta, clock
        return state, {"loss": jnp.float32(0.0)}, store

    store = Store(lambda example: init_replay(example, capacity), add)
    nothing = lambda *_: ()
    return Learner("keeping", lambda key, hp: (), lambda s: s, act, update, nothing, nothing, (), store)


def seconds(learner: Learner, repeats: int) -> list[float]:
    """Of an update, once for each repeat; the buffer is full before."""
    env = still()
    chunk = make_chunk(learner, vectorize(env, NUM_ENVS), LENGTH)
    hp, horizon = traced(learner.default_hp), jnp.float32(1e6)
    state = jax.jit(chunk.init)(random.key(0), hp, env.params)
    run = jax.jit(chunk.run, donate_argnums=0)
    state, _ = run(state, hp, (), env.params, horizon, jnp.int32(UPDATES))
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        state, metrics = run(state, hp, (), env.params, horizon, jnp.int32(UPDATES))
        jax.block_until_ready((state, metrics))
        found.append((time.perf_counter() - began) / UPDATES)
    return found


def measure(peer: str | None, repeats: int) -> list[dict[str, Any]]:
    """A row for each learner and capacity."""
    rows = []
    for capacity in CAPACITIES:
        cases = {
            "adding alone": lambda c=capacity: seconds(keeping(c), repeats),
            "DQN, one gradient step of 128": lambda c=capacity: seconds(
                dqn(still(), NUM_ENVS, LENGTH, DQNConfig(capacity=c, warm_up=0, gradient_steps=1)), repeats
            ),
        }
        if peer:
            sizes = (capacity // NUM_ENVS, NUM_ENVS, LENGTH, UPDATES, repeats)
            command = [peer, "-c", PEER, *map(str, sizes)]
            cases["flashbax 0.1.3, adding and one sample of 128 alone"] = lambda command=command: json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
        for case, run in cases.items():
            times = sorted(run())
            rows.append(
                {
                    "case": case,
                    "capacity": capacity,
                    "median_us": round(1e6 * times[len(times) // 2], 2),
                    "min_us": round(1e6 * times[0], 2),
                    "max_us": round(1e6 * times[-1], 2),
                }
            )
            print(rows[-1], flush=True)
    return rows


def markdown(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The table for readers."""
    lines = [
        "# Stores of experience",
        "",
        f"Microseconds of one update of {NUM_ENVS} environments x {LENGTH} steps of 4 numbers, by transitions held; median of {about['repeats']} "
        f"runs of {UPDATES} updates, with the fastest and slowest. The ratio is that to the smallest buffer of the same case.",
        "",
        "| case | transitions | median | fastest | slowest | ratio |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    first: dict[str, float] = {}
    for row in rows:
        base = first.setdefault(row["case"], row["median_us"])
        lines.append(
            f"| {row['case']} | {row['capacity']:,} | {row['median_us']:.1f} | {row['min_us']:.1f} | {row['max_us']:.1f} "
            f"| {row['median_us'] / base:.2f} |"
        )
    lines += [
        "",
        *(
            f"{name.capitalize()}: `{about[name]}`."
            for name in ("hardware", "versions", "date", "commit", "command")
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peer-python", help="interpreter of an environment with flashbax")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows, origin = measure(args.peer_python, args.repeats), provenance()
    about = {
        "repeats": args.repeats,
        "hardware": hardware(origin["device"]),
        "versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": (origin["git"] or {}).get("commit"),
        "command": "python benchmarks/replay.py" + (" --peer-python PYTHON" if args.peer_python else ""),
    }
    with open(args.results / "replay.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (args.results / "replay.md").write_text(markdown(rows, about), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
