"""What a store of experience costs: adding to a buffer of a million steps beside adding to one of a thousand.

    python benchmarks/replay.py [--repeats N] [--peer-python PYTHON]

writes ``benchmarks/results/replay.md`` and ``.csv``. Timed are whole updates of a run, through the very chunk that training
compiles: a learner that only keeps what it sees, and DQN. Beside them stands the buffer in a bare loop that adds and
draws; with ``--peer-python``, an interpreter of an environment with flashbax, so does its trajectory buffer with the same
steps, apart and afterwards. All buffers are full before they are timed, and those of one case of ours are timed in turn. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware
from timing import Timed, in_turn

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import Learner, PolicyOutput, Store, make_chunk, random
from jaxrl_evolve.experience.replay import Layout, add, draw, init_replay, observation
from jaxrl_evolve.learners.rainbow import rainbow
from jaxrl_evolve.learners.rainbow_config import RainbowConfig
from jaxrl_evolve.results.statistics import median, stratified_bootstrap
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.trajectory import Trajectory

CAPACITIES = (1_024, 131_072, 1_048_576)
NUM_ENVS, LENGTH, UPDATES = 16, 8, 400
BATCH = 128
LAYOUT = Layout()
COLUMNS = ("case", "capacity", "median_us", "min_us", "max_us", "ratio", "ratio_low", "ratio_high")


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

    store = Store(lambda example: init_replay(LAYOUT, example, capacity), partial(add, LAYOUT))
    nothing = lambda *_: ()
    return Learner("keeping", lambda key, hp: (), lambda s: s, act, update, nothing, nothing, (), store)


def filled(run: Callable[[Any], Any], state: Any, capacity: int) -> Timed:
    """`UPDATES` updates, to be timed once so many transitions are in the buffer; ``run(state) -> (state, ...)``."""
    go = lambda state: run(state)[0]
    for _ in range(-(-capacity // (NUM_ENVS * LENGTH * UPDATES))):
        state = go(state)
    return Timed(go, jax.block_until_ready(state))


def of_an_update(cases: Mapping[int, Timed], repeats: int) -> dict[int, list[float]]:
    """Seconds by capacity, one of each in every turn."""
    found = in_turn(cases, repeats)
    return {capacity: [x / UPDATES for x in seconds] for capacity, seconds in found.items()}


def in_the_chunk(learner: Learner, capacity: int) -> Timed:
    """Whole updates of a run, as training compiles them."""
    env = still()
    chunk = make_chunk(learner, vectorize(env, NUM_ENVS), LENGTH)
    hp, horizon, updates = traced(learner.default_hp), jnp.float32(1e6), jnp.int32(UPDATES)
    state = jax.jit(chunk.init)(random.key(0), hp, env.params)
    run = jax.jit(chunk.run, donate_argnums=0)
    return filled(lambda state: run(state, hp, (), env.params, horizon, updates), state, capacity)


def bare(capacity: int) -> Timed:
    """The buffer alone, in the loop that `replay_peer` times flashbax's in."""
    shape = (LENGTH, NUM_ENVS)
    four, whole, number, flag = (
        jax.ShapeDtypeStruct((*shape, *more), dtype)
        for more, dtype in (((4,), "float32"), ((), "int32"), ((), "float32"), ((), "bool"))
    )
    example = Trajectory(four, whole, number, flag, flag, flag, four, PolicyOutput(number))

    def update(i: Any, carry: Any) -> Any:
        replay, key, total = carry
        replay = add(LAYOUT, replay, jax.tree.map(lambda x: jnp.full(x.shape, i).astype(x.dtype), example))
        window = draw(LAYOUT, jax.random.fold_in(key, i), replay, BATCH).window
        drawn = (window, observation(LAYOUT, window, 0), observation(LAYOUT, window, 1))
        return replay, key, total + sum(x.astype(jnp.float32).sum() for x in jax.tree.leaves(drawn))

    def loop(replay: Any, key: Any) -> Any:
        replay, _, total = jax.lax.fori_loop(0, UPDATES, update, (replay, key, jnp.float32(0)))
        return replay, total

    run = jax.jit(loop, donate_argnums=0)
    replay = jax.jit(lambda: init_replay(LAYOUT, example, capacity))()
    return filled(lambda replay: run(replay, random.key(0)), replay, capacity)


def flashbax(peer: str, capacity: int, repeats: int) -> list[float]:
    """What `replay_peer` says, by the interpreter ``peer``: timed apart, so not to be divided by ours."""
    program = Path(__file__).with_name("replay_peer.py")
    sizes = (capacity // NUM_ENVS, NUM_ENVS, LENGTH, BATCH, UPDATES, repeats)
    command = [peer, str(program), *map(str, sizes)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def rows_of(case: str, found: Mapping[int, list[float]], paired: bool = True) -> list[dict[str, Any]]:
    """A row for each capacity, with the ratio to the smallest, of the same turns where there are such."""
    least, rows = found[min(found)], []
    for capacity, values in found.items():
        micros = [round(1e6 * x, 2) for x in sorted(values)]
        ratio, low, high = statistics.median(values) / statistics.median(least), math.nan, math.nan
        if paired:
            ratios = [x / y for x, y in zip(values, least, strict=True)]
            ratio, (low, high) = median(ratios), stratified_bootstrap(ratios, median)
        three = (round(statistics.median(micros), 2), micros[0], micros[-1])
        whole = (case, capacity, *three, round(ratio, 4), round(low, 4), round(high, 4))
        rows.append(dict(zip(COLUMNS, whole, strict=True)))
    return rows


def measure(peer: str | None, repeats: int) -> list[dict[str, Any]]:
    """A row for each case and capacity."""

    def learning(capacity: int) -> Timed:
        config = RainbowConfig(capacity=capacity, batch=BATCH, warm_up=0, gradient_steps=1)
        return in_the_chunk(rainbow(still(), NUM_ENVS, LENGTH, config), capacity)

    cases: dict[str, Callable[[int], Timed]] = {
        "chunk, adding alone": lambda capacity: in_the_chunk(keeping(capacity), capacity),
        f"chunk, DQN with one gradient step of {BATCH}": learning,
        f"bare loop, adding and drawing {BATCH}": bare,
    }
    rows = []
    for case, make in cases.items():
        rows += rows_of(case, of_an_update({capacity: make(capacity) for capacity in CAPACITIES}, repeats))
        print(*rows[-len(CAPACITIES) :], sep="\n", flush=True)
    if peer:
        found = {capacity: flashbax(peer, capacity, min(repeats, 7)) for capacity in CAPACITIES}
        rows += rows_of("the same with flashbax", found, paired=False)
        print(*rows[-len(CAPACITIES) :], sep="\n", flush=True)
    return rows


def version(peer: str | None) -> str:
    """Of the peer's libraries, or nothing."""
    if not peer:
        return ""
    asked = "from importlib.metadata import version as v; print(*(f'{x}={v(x)}' for x in ('flashbax', 'jax', 'jaxlib')))"
    return subprocess.run([peer, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()


def markdown(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The table for readers."""
    lines = [
        "# Stores of experience",
        "",
        f"Microseconds of one update of {NUM_ENVS} environments x {LENGTH} steps of 4 numbers, by transitions held; median of {about['repeats']} "
        f"runs of {UPDATES} updates, with the fastest and slowest. The ratio is that to the smallest buffer of the same case.",
        "",
        "| case | transitions | median | fastest | slowest | ratio | 95 % interval |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    told = lambda row: (
        "" if math.isnan(row["ratio_low"]) else f"[{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"
    )
    for row in rows:
        lines.append(
            f"| {row['case']} | {row['capacity']:,} | {row['median_us']:.1f} | {row['min_us']:.1f} | {row['max_us']:.1f} "
            f"| {row['ratio']:.3f} | {told(row)} |"
        )
    lines += [
        "",
        "Ratios of one case are medians over turns, with bootstrap intervals; those of flashbax, whose capacities are timed one after another, are ratios of medians. "
        "It is timed in a process of its own, after all that is ours and not in turn with it, and its times differed by up to 5.6 times between three runs on such a machine "
        "(2026-11-28 and 2026-11-29): no ratio to it is told.",
        "",
        *(
            f"{name.capitalize()}: `{about[name]}`."
            for name in ("hardware", "versions", "peer", "date", "commit", "command")
            if about[name]
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=101)
    parser.add_argument("--peer-python", help="interpreter of an environment with flashbax")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    args.results.mkdir(parents=True, exist_ok=True)
    rows, origin = measure(args.peer_python, args.repeats), provenance()
    about = {
        "repeats": args.repeats,
        "hardware": hardware(origin["device"]),
        "versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": (origin["git"] or {}).get("commit"),
        "command": "python benchmarks/replay.py" + (" --peer-python PYTHON" if args.peer_python else ""),
        "peer": version(args.peer_python),
    }
    with open(args.results / "replay.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (args.results / "replay.md").write_text(markdown(rows, about), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
