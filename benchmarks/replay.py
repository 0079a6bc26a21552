"""What a store of experience costs: adding to a buffer of a million steps beside adding to one of a thousand.

    python benchmarks/replay.py [--repeats N] [--peer-python PYTHON]

writes ``benchmarks/results/replay.md`` and ``.csv``. Timed are whole updates of a run, through the very chunk that training
compiles: a learner that only keeps what it sees, and DQN. Beside them stands the buffer in a bare loop that adds and
draws; with ``--peer-python``, an interpreter of an environment with flashbax, its trajectory buffer does so with the same
steps, in a process of its own, a turn of ours and a turn of its. All buffers are full before they are timed, and those of one case are timed in turn.
Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware
from throughput import PEER_FLAGS, Worker
from timing import Timed, in_turn, ratio_of_neighbours

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import Box, Discrete, Env, EnvStep
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import Learner, PolicyOutput, Store, make_chunk, random
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.replay import add, draw, init_replay, observation
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
TO_OURS = ("to_ours", "to_ours_low", "to_ours_high")
COLUMNS = ("case", "capacity", "median_us", "min_us", "max_us", "ratio", "ratio_low", "ratio_high", *TO_OURS)


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


class Flashbax:
    """`replay_peer` by the interpreter ``peer``, a process for each capacity."""

    def __init__(self, peer: str) -> None:
        program = str(Path(__file__).with_name("replay_peer.py"))
        options = {"env": {**os.environ, "XLA_FLAGS": PEER_FLAGS}}
        sizes = lambda capacity: map(str, (capacity // NUM_ENVS, NUM_ENVS, LENGTH, BATCH, UPDATES))
        self.workers = {
            capacity: Worker([peer, program, *sizes(capacity)], **options) for capacity in CAPACITIES
        }
        said = self.workers[CAPACITIES[0]].hello
        self.version = " ".join(f"{name}={version}" for name, version in said.items())

    def seconds(self, capacity: int) -> float:
        """Of one update."""
        return self.workers[capacity].ask()["seconds"]

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


def beside(
    ours: Mapping[int, Timed], theirs: Callable[[int], float], repeats: int
) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Seconds of an update by capacity, ours and ``theirs(capacity)``, in the same turns; the first turn is a warm-up."""
    found: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    states = {capacity: program.state for capacity, program in ours.items()}
    for turn in range(repeats + 1):
        for capacity, program in ours.items():
            began = time.perf_counter()
            states[capacity] = jax.block_until_ready(program.run(states[capacity]))
            seconds = ((time.perf_counter() - began) / UPDATES, theirs(capacity))
            if turn:
                for values, x in zip(found, seconds, strict=True):
                    values.setdefault(capacity, []).append(x)
    return found


def rows_of(
    case: str, found: Mapping[int, list[float]], ours: Mapping[int, list[float]] | None = None
) -> list[dict[str, Any]]:
    """A row for each capacity, with the ratio to the smallest, and to ``ours`` of the same turns where that is given."""
    least, rows = found[min(found)], []
    for capacity, values in found.items():
        micros = [round(1e6 * x, 2) for x in sorted(values)]
        ratios = [x / y for x, y in zip(values, least, strict=True)]
        to_ours = ratio_of_neighbours(values, ours[capacity]) if ours else (math.nan,) * len(TO_OURS)
        three = (round(statistics.median(micros), 2), micros[0], micros[-1])
        rounded = (round(x, 4) for x in (median(ratios), *stratified_bootstrap(ratios, median), *to_ours))
        rows.append(dict(zip(COLUMNS, (case, capacity, *three, *rounded), strict=True)))
    return rows


def measure(peer: Flashbax | None, repeats: int) -> list[dict[str, Any]]:
    """A row for each case and capacity."""

    def learning(capacity: int) -> Timed:
        config = RainbowConfig(capacity=capacity, batch=BATCH, warm_up=0, gradient_steps=1)
        return in_the_chunk(rainbow(still(), NUM_ENVS, LENGTH, config), capacity)

    cases: dict[str, Callable[[int], Timed]] = {
        "chunk, adding alone": lambda capacity: in_the_chunk(keeping(capacity), capacity),
        f"chunk, DQN with one gradient step of {BATCH}": learning,
    }
    rows = []
    for case, make in cases.items():
        rows += rows_of(case, of_an_update({capacity: make(capacity) for capacity in CAPACITIES}, repeats))
        print(*rows[-len(CAPACITIES) :], sep="\n", flush=True)
    loops = {capacity: bare(capacity) for capacity in CAPACITIES}
    case = f"bare loop, adding and drawing {BATCH}"
    if peer:
        own, theirs = beside(loops, peer.seconds, repeats)
        rows += [*rows_of(case, own), *rows_of("the same with flashbax", theirs, own)]
    else:
        rows += rows_of(case, of_an_update(loops, repeats))
    print(*rows[6:], sep="\n", flush=True)
    return rows


def markdown(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The table for readers."""
    lines = [
        "# Stores of experience",
        "",
        f"Microseconds of one update of {NUM_ENVS} environments x {LENGTH} steps of 4 numbers, by transitions held; median of {about['repeats']} "
        f"runs of {UPDATES} updates, with the fastest and slowest. The ratio is that to the smallest buffer of the same case.",
        "",
        "| case | transitions | median | fastest | slowest | ratio | 95 % interval | to ours | 95 % interval |",
        "|---|--:|--:|--:|--:|--:|---|--:|---|",
    ]
    told = lambda row, name: (
        " | "
        if math.isnan(row[name])
        else f"{row[name]:.3f} | [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
    )
    for row in rows:
        lines.append(
            f"| {row['case']} | {row['capacity']:,} | {row['median_us']:.1f} | {row['min_us']:.1f} | {row['max_us']:.1f} "
            f"| {told(row, 'ratio')} | {told(row, 'to_ours')} |"
        )
    lines += [
        "",
        "Ratios are medians over turns, with bootstrap intervals. Flashbax's buffer is timed in a process of its own, a turn of it after a turn of ours of the same size; "
        "`to ours` is its time by that of the same turn. Steps of ours are cut out of frames that are kept once; its hold both observations.",
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
    peer, origin = Flashbax(args.peer_python) if args.peer_python else None, provenance()
    rows = measure(peer, args.repeats)
    about = {
        "repeats": args.repeats,
        "hardware": hardware(origin["device"]),
        "versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": (origin["git"] or {}).get("commit"),
        "command": "python benchmarks/replay.py" + (" --peer-python PYTHON" if args.peer_python else ""),
        "peer": peer.version if peer else "",
    }
    if peer:
        peer.close()
    with open(args.results / "replay.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (args.results / "replay.md").write_text(markdown(rows, about), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
