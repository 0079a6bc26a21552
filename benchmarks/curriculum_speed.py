"""How fast curricula of levels train beside JaxUED's maze scripts and that of SFL's authors, and seeds side by side beside seeds in turn.

    python benchmarks/curriculum_speed.py [--jaxued DIR --jaxued-python PYTHON] [--sfl DIR --sfl-python PYTHON] [--cases CASE ...] [--repeats N]
    python benchmarks/curriculum_speed.py seeds [--repeats N]
    python benchmarks/curriculum_speed.py --table   # the page of the rows that are there

writes ``benchmarks/results/curriculum_speed.csv`` and ``.md``; cases that are not measured keep their rows. ``DIR`` is a checkout of the peer and ``PYTHON`` the interpreter of a virtual environment
with what it needs. Both sides run updates of a program that is compiled, in turn, and play as many environment steps in a timing. What is the same on both, and what is not, the page says (`EQUAL`,
`UNEQUAL`).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jaxrl_evolve  # isort: skip  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import curriculum_speed_cases as cases  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from curriculum_speed_cases import CASES, Case  # noqa: E402
from learning import RESULTS, hardware  # noqa: E402
from throughput import HERE, PEER_FLAGS, Worker  # noqa: E402
from timing import ratio_of_neighbours  # noqa: E402

from jaxrl_evolve import TrainConfig, random  # noqa: E402
from jaxrl_evolve.results.report.text import csv_text, markdown_table  # noqa: E402
from jaxrl_evolve.storage.folder import write_text  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402
from jaxrl_evolve.training.config import EvaluationConfig  # noqa: E402
from jaxrl_evolve.training.curricula_suite import PROTOCOLS  # noqa: E402
from jaxrl_evolve.training.experiment import build, traced  # noqa: E402
from jaxrl_evolve.training.train import train  # noqa: E402

COLUMNS = (
    *("part", "case", "ours", "other", "ratio", "low", "high", "target", "repeats"),
    *("hardware", "versions", "peer", "date", "commit"),
)
EQUAL = (
    f"Equal: mazes of {cases.SIZE} x {cases.SIZE} with {cases.WALLS} walls drawn with replacement, episodes of at most {cases.LIMIT} steps, a view of 5 x 5 cells and seven actions; {cases.ENVS} "
    f"environments x {cases.STEPS} steps, {cases.EPOCHS} passes in one minibatch; a layer of {cases.HIDDEN}, a GRU of {cases.MEMORY} and two linear heads, given to the peer's script; MaxMC, a buffer of "
    f"{cases.CAPACITY:,} levels without duplicates, of SFL 128; environment steps of a timing, those that only score levels among them, as many of each kind: "
    f"{cases.UPDATES} of our updates beside those of the peer that play as much. Compilation, evaluation, drawing and trackers are outside the timings on both sides."
)
UNEQUAL = (
    "Not equal: the peer's observation has a third plane, 25 more inputs of the first layer. JaxUED learns from new levels, replays some or scores edited ones in an update, and draws which: here these "
    "take turns in their proportion, since draws would make every timing another mixture; ours does all of it in every update, in the same proportion. Of levels that it only scores, JaxUED computes the "
    "loss as often as of those it learns from, and reports it. SFL's script searches once before each timing's updates, looking at every level once; ours in every update, half of it at levels known already."
)
TARGET, SEEDS_TARGET = 1.5, 0.9
SEEDS, SEED_CASES = 10, ("random", "plr", "accel", "sfl")
EVALUATION = EvaluationConfig(times=1, episodes=1, final_episodes=1)


def configuration(case: Case) -> TrainConfig[Any, Any]:
    """Our side of a case."""
    network = {"hidden": (cases.HIDDEN,), "shared": True, "memory": "gru", "memory_size": cases.MEMORY}
    return TrainConfig.preset(
        "ppo",
        "maze/random",
        env_options={
            "size": str(cases.SIZE),
            "walls": str(cases.WALLS),
            "max_steps": str(cases.LIMIT),
            "actions": "7",
        },
        steps=10**8,
        num_envs=cases.ENVS,
        rollout_length=cases.STEPS,
        resets="full",
        curriculum=case.curriculum,
        curriculum_options=dict(case.options),
        learner={"epochs": cases.EPOCHS, "minibatches": 1, "network": network},
        hp={**cases.HP, "learning_rate_end": 0.0},
        evaluation=EVALUATION,
    )


class Ours:
    """Our side of a case, compiled."""

    def __init__(self, case: Case) -> None:
        config = configuration(case)
        built = build(config)
        hp, params, horizon = traced(config.hp), built.env.params, jnp.float32(1e4)
        self.state = jax.jit(built.chunk.init)(random.key(0), hp, params)
        self.run = jax.jit(
            lambda state: built.chunk.run(state, hp, (), params, horizon, jnp.int32(cases.UPDATES)),
            donate_argnums=0,
        )
        self.parameters = sum(x.size for x in jax.tree.leaves(self.state.learner.params))
        scouts = built.curriculum.scouts if built.curriculum else None
        scored = scouts.cost(cases.STEPS) if scouts else 0
        self.steps = cases.UPDATES * (cases.ENVS * cases.STEPS + scored)

    def seconds(self) -> float:
        """Of one timing."""
        began = time.perf_counter()
        self.state, _ = jax.block_until_ready(self.run(self.state))
        return time.perf_counter() - began


def peer_of(case: Case, folder: str, python: str) -> Worker:
    """The peer's side, in its own process."""
    settings = cases.sfl_settings() if case.peer == "sfl" else cases.jaxued_settings(case.settings)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"XLA_FLAGS": PEER_FLAGS}
    command = [
        python,
        str(HERE / "curriculum_speed_peer.py"),
        case.script,
        json.dumps(settings),
        str(case.updates),
        json.dumps(case.turns),
    ]
    return Worker(command, cwd=folder, env=environment)


def beside(case: Case, folder: str, python: str, repeats: int) -> dict[str, Any]:
    """A row: thousands of environment steps in a second, ours and the peer's, in turn; the first turn is a warm-up."""
    ours, worker = Ours(case), peer_of(case, folder, python)
    found: tuple[list[float], list[float]] = ([], [])
    try:
        _check(ours, worker, case)
        for turn in range(repeats + 1):
            own, other = ours.seconds(), float(worker.ask()["seconds"])
            if turn:
                found[0].append(ours.steps / own / 1e3)
                found[1].append(case.steps / other / 1e3)
    finally:
        worker.close()
    commit = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    versions = " ".join(f"{name}={version}" for name, version in worker.hello["versions"].items())
    return {**_row(*found, TARGET), "peer": f"{case.peer} {commit.stdout.strip()[:10]} {versions}"}


def _check(ours: Ours, worker: Worker, case: Case) -> None:
    """Refuse to compare what is not the same size."""
    if ours.steps != case.steps:
        raise SystemExit(f"a timing has {ours.steps} environment steps here and {case.steps} of the peer's")
    more = worker.hello["parameters"] - ours.parameters
    if more != cases.MORE_INPUTS * cases.HIDDEN:
        raise SystemExit(
            f"the peer's network has {more} more parameters, not those of {cases.MORE_INPUTS} more inputs"
        )


def seeds_beside(curriculum: str, repeats: int) -> dict[str, Any]:
    """A row: seconds of a training of ten seeds, and ten times those of one, in turn, without compilation."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for into, seeds in zip(found, (SEEDS, 1), strict=True):
            config = PROTOCOLS["small"].config(curriculum, seeds)
            config = replace(
                config, steps=8 * config.steps_per_update, rows=1, checkpoints=1, evaluation=EVALUATION
            )
            into.append(train(config).summary["run_seconds"] * (SEEDS if seeds == 1 else 1))
    return {**_row(*found, SEEDS_TARGET), "peer": ""}


def _row(ours: Sequence[float], others: Sequence[float], target: float) -> dict[str, Any]:
    ratio, low, high = ratio_of_neighbours(ours, others)
    numbers = {
        "ours": statistics.median(ours),
        "other": statistics.median(others),
        "ratio": ratio,
        "low": low,
        "high": high,
    }
    return {**{name: round(x, 4) for name, x in numbers.items()}, "target": target, "repeats": len(ours)}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The page, of stored rows alone."""
    of = lambda part: [row for row in rows if row["part"] == part]
    numbers = lambda row: (
        row["case"], f"{float(row['ours']):.3g}", f"{float(row['other']):.3g}",
        f"{float(row['ratio']):.2f} [{float(row['low']):.2f}, {float(row['high']):.2f}]", row["target"], row["repeats"],
    )  # fmt: skip
    parts = [
        "# Curricula of levels beside others, and seeds side by side",
        "Ratios are of neighbours in time: the median with its 95 % bootstrap interval over turns.",
    ]
    if there := of("peer"):
        parts += [
            "Thousands of environment steps in a second; the target is at least:",
            markdown_table(
                ["Curriculum", "Ours", "Peer", "Ratio", "Target", "Turns"], [numbers(row) for row in there]
            ),
            EQUAL,
            UNEQUAL,
        ]
    if there := of("seeds"):
        parts += [
            f"Seconds of a training of eight updates with {SEEDS} seeds side by side on all cores (benchmark `small`), and {SEEDS} times those of one; the target is at most:",
            markdown_table(
                ["Curriculum", f"{SEEDS} seeds", f"{SEEDS} in turn", "Ratio", "Target", "Turns"],
                [numbers(row) for row in there],
            ),
        ]
    for name in ("hardware", "versions", "peer", "date", "commit"):
        told = dict.fromkeys(str(row[name]) for row in rows if row[name])
        parts.append(f"{name.capitalize()}: " + "; ".join(f"`{x}`" for x in told) + ".")
    return "\n\n".join([*parts, "Command: `python benchmarks/curriculum_speed.py`."]) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=["peer", "seeds"], default="peer")
    for peer in ("jaxued", "sfl"):
        parser.add_argument(f"--{peer}", metavar="DIR")
        parser.add_argument(f"--{peer}-python", metavar="PYTHON")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help="of a part; all by default")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="write the page of the rows that are there")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    known = list(CASES if given.part == "peer" else SEED_CASES)
    if unknown := [case for case in given.cases or () if case not in known]:
        parser.error(f"there is no case {unknown[0]!r}: {', '.join(known)}")
    path = given.results / "curriculum_speed.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(path.open())) if path.is_file() else []
    for name in () if given.table else given.cases or known:
        if given.part == "seeds":
            row = seeds_beside(name, given.repeats)
        else:
            folder, python = (getattr(given, CASES[name].peer + x) for x in ("", "_python"))
            if not (folder and python):
                print(f"{name}: left out, without --{CASES[name].peer} and --{CASES[name].peer}-python")
                continue
            row = beside(CASES[name], folder, python, given.repeats)
        made = provenance()
        versions = " ".join(f"{x}={made['versions'][x]}" for x in ("python", "jax", "jaxlib", "flax"))
        git = made["git"] or {"commit": "", "dirty": False}
        row |= {"part": given.part, "case": name, "hardware": hardware(made["device"]), "versions": versions}
        row |= {"date": datetime.date.today().isoformat(), "commit": git["commit"] + "+" * git["dirty"]}
        print(*(row[column] for column in COLUMNS[:8]), flush=True)
        rows = [old for old in rows if (old["part"], old["case"]) != (given.part, name)] + [row]
        given.results.mkdir(parents=True, exist_ok=True)
        write_text(path, csv_text(COLUMNS, [[row.get(column) for column in COLUMNS] for row in rows]))
    if rows:
        write_text(path.with_suffix(".md"), markdown([{k: str(v) for k, v in row.items()} for row in rows]))


if __name__ == "__main__":
    main()
