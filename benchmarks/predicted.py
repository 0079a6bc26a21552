"""What self-prediction costs PPO: an update with ``--learner.predicted K`` beside one without.

    python benchmarks/predicted.py [--repeats N]

writes ``benchmarks/results/predicted.md`` and ``.csv``. Timed are whole updates of one seed, through the chunk that training compiles, all settings of a case in turn. Run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware
from timing import Timed, in_turn

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve import TrainConfig, random
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.experiment import build, traced

STEPS_AHEAD = (0, 1, 5)
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "CartPole-v1, 4 x 128": (
        20,
        {"env": "CartPole-v1", "num_envs": 4, "learner": {"network": {"shared": True}}},
    ),
    "CartPole-v1, 64 x 128": (
        4,
        {"env": "CartPole-v1", "num_envs": 64, "learner": {"network": {"shared": True}}},
    ),
    "Breakout-MinAtar, 64 x 32": (
        1,
        {
            "env": "Breakout-MinAtar",
            "num_envs": 64,
            "rollout_length": 32,
            "learner": {
                "minibatches": 8,
                "network": {"encoder": "minatar", "shared": True, "hidden": (64, 64)},
            },
        },
    ),
}
"""Updates of one timing, and what is changed of PPO's presets: actor and critic share their features, which self-prediction trains."""
COLUMNS = ("case", "predicted", "median_ms", "min_ms", "max_ms")


def measured(name: str, repeats: int) -> list[dict[str, Any]]:
    """A row for each number of steps ahead, milliseconds of an update."""
    updates, changes = CASES[name]
    programs = {}
    for ahead in STEPS_AHEAD:
        learner = {**changes["learner"], "predicted": ahead}
        settings = {"rollout_length": 128, **changes, "learner": learner, "steps": 10_000_000}
        config = TrainConfig.preset("ppo", settings.pop("env"), **settings)
        env, _, chunk, *_ = build(config)
        given = (traced(config.hp), (), env.params, jnp.float32(config.updates), jnp.int32(updates))
        state = jax.jit(chunk.init)(random.key(0), given[0], env.params)
        run = jax.jit(chunk.run)
        programs[ahead] = Timed(lambda state, run=run, given=given: run(state, *given)[0], state)
    found = {
        ahead: [1e3 * x / updates for x in seconds] for ahead, seconds in in_turn(programs, repeats).items()
    }
    values = lambda x: (round(statistics.median(x), 3), round(min(x), 3), round(max(x), 3))
    return [dict(zip(COLUMNS, (name, ahead, *values(x)), strict=True)) for ahead, x in found.items()]


def markdown(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    """The table for readers."""
    lines = [
        "# What self-prediction costs PPO",
        "",
        "Milliseconds of an update of one seed, medians with the fastest and slowest; the ratio is that to the same network without self-prediction. Actor and critic share their features.",
        "",
        "| case | steps ahead | update | ratio |",
        "|---|--:|--:|--:|",
    ]
    first: dict[str, float] = {}
    for row in rows:
        middle, low, high = (float(row[column]) for column in COLUMNS[2:])
        base = first.setdefault(row["case"], middle)
        lines.append(
            f"| {row['case']} | {row['predicted']} | {middle:.2f} ({low:.2f} to {high:.2f}) | {middle / base:.2f} |"
        )
    return "\n".join([*lines, "", *(f"{name}: `{value}`.\n" for name, value in about.items())])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(words)
    args.results.mkdir(parents=True, exist_ok=True)
    origin = provenance()
    rows = []
    for name in CASES:
        rows += measured(name, args.repeats)
        print(*rows[-len(STEPS_AHEAD) :], sep="\n", flush=True)
    with open(args.results / "predicted.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    about = {
        "Hardware": hardware(origin["device"]),
        "Versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Commit": (origin["git"] or {}).get("commit"),
        "Command": f"python benchmarks/predicted.py --repeats {args.repeats}",
    }
    (args.results / "predicted.md").write_text(markdown(rows, about), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
