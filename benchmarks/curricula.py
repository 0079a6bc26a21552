"""Curricula on mazes at equal steps, those that only score levels counted: success on all levels and on the worst.

    python benchmarks/curricula.py methods|factors [--protocol small|published] [--only NAME ...] [--seeds N] [--steps N] [--report]

trains what is not in ``runs/curricula`` yet, every method with all seeds side by side, tests it level by level, and writes
``benchmarks/results/curricula_<suite>.csv`` (a row for each seed) and, from these rows alone, ``.md``. A method that was interrupted goes on
from its last checkpoint. ``--report`` only writes the page. What is compared, and what must hold of the task beforehand, is in
``benchmarks/README.md``.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from learning import RESULTS, ROOT, hardware

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.storage.folder import write_json, write_text
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig
from jaxrl_evolve.training.held_out import HeldOut, evaluate_levels
from jaxrl_evolve.training.outcome import estimate_iqm
from jaxrl_evolve.training.train import train

RUNS = ROOT / "runs" / "curricula"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A task and its sizes.

    Attributes:
        env_options: of ``maze/random``.
        num_envs, rollout_length, steps, hidden, memory_size: of the training; steps are those of a seed, with those that score levels.
        levels, episodes: of the test, the episodes in each of two samples.
    """

    env_options: Mapping[str, str]
    num_envs: int
    rollout_length: int
    steps: int
    hidden: tuple[int, ...]
    memory_size: int
    levels: int
    episodes: int
    hp: Mapping[str, float]


_HP = {"gamma": 0.995, "gae_lambda": 0.95, "entropy_coef": 1e-3, "clip": 0.2}
PROTOCOLS = {
    "small": Protocol(
        {"size": "9", "walls": "25", "distinct": "True", "max_steps": "120"},
        *(256, 128, 4_000_000, (64,), 64, 2_000, 5),
        {"learning_rate": 1e-3, **_HP},
    ),
    "published": Protocol(
        {"size": "13", "walls": "60", "max_steps": "250"},
        *(256, 256, 300_000_000, (256,), 256, 10_000, 10),
        {"learning_rate": 2.5e-4, **_HP, "clip": 0.1},
    ),
}


@dataclasses.dataclass(frozen=True)
class Method:
    """A row: a curriculum and its options."""

    label: str
    curriculum: str
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


SUITES = {
    "methods": {
        "random": Method("domain randomisation", "random"),
        "plr": Method("PLR, T 1", "plr"),
        "plr-0.3": Method("PLR, T 0.3", "plr", {"temperature": "0.3"}),
        "robust-plr": Method("robust PLR", "robust-plr"),
        "accel": Method("ACCEL", "accel"),
        "sfl": Method("SFL", "sfl"),
        "ncc": Method("NCC", "ncc"),
        "mna": Method("MNA", "mna"),
        "traced": Method("TRACED, co-learnability", "traced"),
        "pace": Method("PACE", "pace"),
        "true-regret": Method("true regret (oracle)", "true-regret"),
        "sec": Method("SEC on numbers of walls", "sec"),
    },
    "factors": {
        "plr": Method("PLR: T 1, unique, lifetime maximum, ranks", "plr"),
        "plr-0.3": Method("T 0.3", "plr", {"temperature": "0.3"}),
        "plr-repeats": Method(
            "levels drawn again within a batch, and not hashed", "plr", {"repeats": "True", "unique": "False"}
        ),
        "plr-last": Method("maximum of the last visit", "plr", {"best": "last"}),
        "plr-top": Method("the highest score only", "plr", {"prioritisation": "top-k", "top": "1"}),
        "plr-worst": Method(
            "all four",
            "plr",
            {"temperature": "0.3", "repeats": "True", "unique": "False", "best": "last"}
            | {"prioritisation": "top-k", "top": "1"},
        ),
    },
}
"""Suites by name; a name stands for the same cell in all of them."""

COLUMNS = (
    *("protocol", "method", "seed", "all", "cvar10", "cvar1", "cvar10_biased"),
    *("env_steps", "scoring_steps", "seconds"),
)


def config_of(protocol: Protocol, method: Method, seeds: int, steps: int | None) -> TrainConfig[Any, Any]:
    """What a method trains."""
    network = {"hidden": protocol.hidden, "memory": "gru", "memory_size": protocol.memory_size}
    return TrainConfig.preset(
        "ppo",
        "maze/random",
        env_options=dict(protocol.env_options),
        steps=steps or protocol.steps,
        count_scoring=True,
        num_envs=protocol.num_envs,
        rollout_length=protocol.rollout_length,
        resets="full",
        curriculum=method.curriculum,
        curriculum_options=dict(method.options),
        seeds=seeds,
        rows=20,
        checkpoints=5,
        learner={"epochs": 4, "minibatches": 4, "network": network},
        hp={**protocol.hp, "learning_rate_end": 0.0},
        evaluation=EvaluationConfig(times=1, episodes=64, final_episodes=64),
    )


def played(
    folder: Path, name: str, protocol: Protocol, method: Method, seeds: int, steps: int | None
) -> list[dict[str, Any]]:
    """The rows of a method, trained and tested unless they are there."""
    cell = folder / "cell.json"
    if cell.is_file():
        return json.loads(cell.read_text())
    started = (folder / "config.json").is_file()
    summary = train(config_of(protocol, method, seeds, steps), folder, resume=started).summary
    outcome, _ = evaluate_levels(folder, HeldOut(levels=protocol.levels, episodes=protocol.episodes))
    worst, worst_of_all = outcome["cvar"]
    rows = [
        {
            "method": name,
            "seed": i,
            "all": outcome["all"]["runs"][i],
            "cvar10": worst["runs"][i],
            "cvar1": worst_of_all["runs"][i],
            "cvar10_biased": worst["biased"][i],
            "env_steps": summary["env_steps"],
            "scoring_steps": summary.get("scoring_steps", 0),
            "seconds": round(summary["run_seconds"], 1),
        }
        for i in range(seeds)
    ]
    rows = [{name: x if isinstance(x, str | int) else float(x) for name, x in row.items()} for row in rows]
    write_json(cell, rows)
    return rows


def stored(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    return list(csv.DictReader(path.open())) if path.is_file() else []


def keep(path: Path, protocol: str, rows: list[dict[str, Any]]) -> None:
    """Put a method's rows into the table in place of those that it had."""
    new = [{"protocol": protocol, **row} for row in rows]
    others = [
        row for row in stored(path) if (row["protocol"], row["method"]) != (protocol, rows[0]["method"])
    ]
    lines = [
        ",".join(COLUMNS),
        *(",".join(str(row[name]) for name in COLUMNS) for row in (*others, *new)),
    ]
    write_text(path, "\n".join(lines) + "\n")


def page(suite: str, protocol: str, rows: list[dict[str, str]]) -> str:
    """The table of a suite, from its rows."""
    p = PROTOCOLS[protocol]
    lines = [
        f"| {' | '.join(['Curriculum', 'all levels', 'worst 10 %', 'worst 1 %', 'training steps', 'scoring steps', 'seconds'])} |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    seeds = 0
    for name, method in SUITES[suite].items():
        mine = [row for row in rows if row["method"] == name and row["protocol"] == protocol]
        if not mine:
            continue
        seeds = max(seeds, len(mine))
        cells = []
        for column in ("all", "cvar10", "cvar1"):
            found = estimate_iqm(np.asarray([float(row[column]) for row in mine]))
            cells.append(f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")
        counts = [f"{int(mine[0][column]):,}" for column in ("env_steps", "scoring_steps")]
        lines.append(f"| {' | '.join([method.label, *cells, *counts, mine[0]['seconds']])} |")
    size, walls = p.env_options["size"], p.env_options["walls"]
    told = [
        f"# Curricula on mazes: {suite}",
        f"Success on {p.levels:,} solvable mazes of {size} x {size} with {walls} walls drawn, {p.episodes} episodes on each to say which are the worst and "
        f"{p.episodes} others to say how the agents do there; IQM and 95 % interval over {seeds} seeds, trained side by side. "
        f"Every method had the same number of steps, those of scouts counted. PPO, GRU of {p.memory_size}, {p.num_envs} environments x {p.rollout_length} steps. Seconds are of "
        "all seeds together.",
        "\n".join(lines),
        f"Command: `python benchmarks/curricula.py {suite}{'' if protocol == 'small' else f' --protocol {protocol}'}`.",
    ]
    return "\n\n".join(told) + "\n"


def main() -> None:
    """Train, test and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="small")
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--out", type=Path, default=RUNS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    table = given.results / f"curricula_{given.suite}.csv"
    if not given.report:
        use_compilation_cache()
        for name, method in SUITES[given.suite].items():
            if given.only and name not in given.only:
                continue
            folder = given.out / given.protocol / name
            rows = played(folder, name, PROTOCOLS[given.protocol], method, given.seeds, given.steps)
            keep(table, given.protocol, rows)
            means = {
                column: round(float(np.mean([row[column] for row in rows])), 3) for column in COLUMNS[3:6]
            }
            print(f"{name}: {means}", flush=True)
    text = page(given.suite, given.protocol, stored(table))
    machine = f"Hardware: `{hardware(provenance()['device'])}`. Date: {datetime.date.today()}."
    suffix = "" if given.protocol == "small" else f"_{given.protocol}"
    write_text(given.results / f"curricula_{given.suite}{suffix}.md", f"{text}\n{machine}\n")


if __name__ == "__main__":
    main()
