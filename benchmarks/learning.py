"""How well the presets learn: tables of final evaluation returns, per suite.

    python benchmarks/learning.py classic|minatar|brax|memory|dqn|pqn|sac|sac_brax|dqn_minatar|pqn_minatar [--seeds N] [--steps N] [--only NAME ...] [--table]

writes ``benchmarks/results/learning_<suite>.csv`` and ``.md``. A case that is in the table already is not
run again without ``--overwrite``; one that was interrupted goes on from its last checkpoint in
``runs/learning``. ``--table`` trains nothing and writes the page of the rows that are there. The presets were tuned on other seeds than the reported ones (``--seed``, 0).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results import statistics
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig
from jaxrl_evolve.training.train import train

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RUNS = ROOT / "runs" / "learning"


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of a table.

    Attributes:
        env: the environment.
        note: tells cases of one environment apart.
        reference: a return to compare with, and where it is from.
        changes: of the preset, as `TrainConfig.preset` takes them.
    """

    env: str
    note: str = ""
    reference: str = ""
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.env} ({self.note})" if self.note else self.env


@dataclasses.dataclass(frozen=True)
class Suite:
    """A table: its cases, sizes, and what a reader has to know."""

    cases: tuple[Case, ...]
    steps: int
    seeds: int
    evaluation: EvaluationConfig
    remarks: str
    algorithm: str = "ppo"


_TUNED = "tuned PPO of Goldie et al. 2024 (arXiv 2407.07082)"
_TWO_STARTS = "Breakout is deterministic and has two starts: a seed's greedy episodes are copies of two."
_ONE_START = "SpaceInvaders is deterministic and has one start: a seed's greedy episodes are copies of one."
_WITHOUT_MEMORY = {"learner": {"network": {"memory": "none"}}}
_FEWER_ENVS = {"num_envs": 256, "rollout_length": 32, "env_options": {"backend": "spring"}}


def _two_games(algorithm: str, steps: int, share: str) -> Suite:
    """Learners of action values on two games of MinAtar."""
    return Suite(
        tuple(
            Case(f"{game}-MinAtar", reference=x)
            for game, x in (("Breakout", "50.1, " + _TUNED), ("Freeway", "61.8, " + _TUNED))
        ),
        steps=steps,
        seeds=5,
        evaluation=EvaluationConfig(times=5, episodes=64, final_episodes=128, max_steps=2_500),
        remarks=f"{share} of the reference's steps. The settings are not tuned. With 5 seeds the intervals are rough. {_TWO_STARTS}",
        algorithm=algorithm,
    )


SUITES: dict[str, Suite] = {
    "classic": Suite(
        (
            Case("CartPole-v1", reference="500, the maximum"),
            Case("Acrobot-v1", reference="-100, Gym's threshold"),
            Case("Pendulum-v1", reference="-200, by custom"),
            Case("MountainCar-v0", reference="-110, Gym's threshold"),
            Case("MountainCarContinuous-v0", reference="90, Gym's threshold"),
        ),
        steps=500_000,
        seeds=16,
        evaluation=EvaluationConfig(times=5, episodes=64, final_episodes=128),
        remarks="",
    ),
    "minatar": Suite(
        (
            Case("SpaceInvaders-MinAtar", reference=f"167.1, {_TUNED}"),
            Case("Breakout-MinAtar", reference=f"50.1, {_TUNED}"),
            Case("Asterix-MinAtar", reference=f"15.0, {_TUNED}"),
            Case("Freeway-MinAtar", reference=f"61.8, {_TUNED}"),
            Case("Seaquest-MinAtar", reference="none"),
        ),
        steps=10_000_000,
        seeds=5,
        evaluation=EvaluationConfig(times=10, episodes=64, final_episodes=128, max_steps=2_500),
        remarks="The references are returns of training, to be read beside `training`, and for older gymnax versions. With 5 "
        f"seeds the intervals are rough. {_ONE_START} {_TWO_STARTS}",
    ),
    "brax": Suite(
        (
            Case("brax/hopper", "spring, 256 x 32", changes=_FEWER_ENVS),
            Case("brax/ant", "spring, 256 x 32", changes=_FEWER_ENVS),
            Case("brax/halfcheetah", "spring, 256 x 32", changes=_FEWER_ENVS),
            Case("brax/walker2d", "spring, 256 x 32", changes=_FEWER_ENVS),
        ),
        steps=1_000_000,
        seeds=2,
        evaluation=EvaluationConfig(times=2, episodes=16, final_episodes=32, max_steps=1_000),
        remarks="Without an accelerator: a tenth and less of the usual steps, on the spring backend, with "
        "fewer environments than the preset's 2048. Of two seeds there is no interval, and no untrained policy stands beside them: a first look, no more.",
    ),
    "memory": Suite(
        tuple(
            Case(
                "MemoryChain-bsuite",
                f"length {length}, {name}",
                reference="1, perfect; 0, no memory",
                changes={"env_options": {"memory_length": str(length)}, **changes},
            )
            for length in (10, 20)
            for name, changes in (("GRU", {}), ("MLP", _WITHOUT_MEMORY))
        ),
        steps=400_000,
        seeds=8,
        evaluation=EvaluationConfig(times=5, episodes=128, final_episodes=512),
        remarks="",
    ),
    "dqn": Suite(
        (
            Case("CartPole-v1", reference="500, the maximum"),
            Case("Acrobot-v1", reference="-100, Gym's threshold"),
            Case("MountainCar-v0", reference="-110, Gym's threshold"),
            Case("Catch-bsuite", reference="1, the maximum"),
            Case("DiscountingChain-bsuite", reference="1.1, the maximum"),
        ),
        steps=500_000,
        seeds=8,
        evaluation=EvaluationConfig(times=5, episodes=64, final_episodes=128),
        remarks="",
        algorithm="dqn",
    ),
    "pqn": Suite(
        (
            Case("CartPole-v1", reference="500, the maximum"),
            Case("Acrobot-v1", reference="-100, Gym's threshold"),
        ),
        steps=500_000,
        seeds=8,
        evaluation=EvaluationConfig(times=5, episodes=64, final_episodes=128),
        remarks="The settings are those of the authors' code, not tuned here.",
        algorithm="pqn",
    ),
    "sac": Suite(
        (Case("Pendulum-v1", reference="-200, by custom"),),
        steps=50_000,
        seeds=8,
        evaluation=EvaluationConfig(times=5, episodes=32, final_episodes=128),
        remarks="The settings are not tuned.",
        algorithm="sac",
    ),
    "sac_brax": Suite(
        tuple(
            Case(f"brax/{body}", "spring", changes={"env_options": {"backend": "spring"}})
            for body in ("hopper", "halfcheetah")
        ),
        steps=300_000,
        seeds=5,
        evaluation=EvaluationConfig(times=5, episodes=16, final_episodes=32, max_steps=1_000),
        remarks="On the spring backend, with settings that are not tuned. With 5 seeds the intervals are rough.",
        algorithm="sac",
    ),
    "dqn_minatar": _two_games("dqn", 200_000, "A fiftieth"),
    "pqn_minatar": _two_games("pqn", 1_000_000, "A tenth"),
}


def run(case: Case, suite: Suite, folder: Path, seeds: int, steps: int, seed: int) -> dict[str, Any]:
    """Train one case and make its row."""
    config = TrainConfig.preset(
        suite.algorithm,
        case.env,
        **{"steps": steps, "seeds": seeds, "seed": seed, "evaluation": suite.evaluation, **case.changes},
    )
    result = train(config, folder, resume=folder.exists(), quiet=False)
    summary = result.summary
    returns = np.asarray(result.eval_return)
    low, high = (float("nan") if x is None else x for x in result.ci95)
    return {
        "case": case.label,
        "algorithm": config.algorithm,
        "iqm": result.iqm,
        "ci95_low": low,
        "ci95_high": high,
        "mean": statistics.estimate(returns, statistics.mean, non_finite="worst").value,
        "train_return": float(statistics.iqm(np.asarray(result.rows[-1]["episode_return"], float))),
        "reference": case.reference,
        "seeds": seeds,
        "root_seed": seed,
        "env_steps": summary["env_steps"],
        "steps_per_second": summary["steps_per_second"],
        "run_seconds": summary["run_seconds"],
        "compile_seconds": summary["compile_seconds"],
        "hardware": hardware(summary["device"]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": " ".join(
            f"{name}={summary['versions'][name]}"
            for name in ("python", "jax", "flax", "optax", "gymnax", "brax")
        ),
        "git": (summary["git"] or {}).get("commit"),
        "command": "python benchmarks/learning.py " + " ".join(sys.argv[1:]),
        "settings": f"{config.num_envs} envs x {config.rollout_length} steps, {config.learner}, {config.hp}",
        "eval_returns": " ".join(f"{x:.6g}" for x in returns),
    }


def hardware(device: Mapping[str, Any]) -> str:
    if device["platform"] != "cpu":
        return f"{device['count']} x {device['kind']}"
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {device['cpu_cores']} cores"


def interval(row: Mapping[str, Any]) -> str:
    """The interval of a row; of fewer than `statistics.FEWEST` seeds there is none, whatever bounds were stored."""
    low, high = (float(row[name]) for name in ("ci95_low", "ci95_high"))
    enough = int(row["seeds"]) >= statistics.FEWEST and np.isfinite(low)
    return f"[{low:.4g}, {high:.4g}]" if enough else "none"


def markdown(name: str, suite: Suite, rows: list[dict[str, Any]]) -> str:
    """The table for readers."""
    lines = [
        f"# Learning: {name}",
        "",
        "Final evaluation (`eval`): "
        f"{suite.evaluation.final_episodes} whole {suite.evaluation.mode} episodes per seed in environments "
        "of their own; interquartile mean over seeds with its 95% bootstrap interval. `training` is the "
        "interquartile mean of the exploring policy's episodes in the last fiftieth of training. The presets "
        "were tuned, where they were, on other seeds.",
        "Steps per second and wall time are those of a machine shared with other work, all seeds together and "
        "without compilation; for speed see `throughput.py`.",
    ]
    lines += [suite.remarks] if suite.remarks else []
    lines += [
        "",
        "| environment | eval IQM | 95% interval | mean | training | reference | seeds | steps per seed "
        "| steps/s | wall | date |",
        "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        r = {k: float(row[k]) for k in ("iqm", "mean", "train_return")}
        speed, wall = float(row["steps_per_second"]), float(row["run_seconds"])
        training = f"{r['train_return']:.4g}" if np.isfinite(r["train_return"]) else "none ended"
        lines.append(
            f"| {row['case']} | {r['iqm']:.4g} | {interval(row)} | {r['mean']:.4g} "
            f"| {training} | {row['reference']} | {row['seeds']} | {int(row['env_steps']):,} "
            f"| {speed:,.0f} | {wall:,.0f} s | {row['date']} |"
        )
    for title, column in (("Hardware", "hardware"), ("Versions", "versions"), ("Command", "command")):
        values = dict.fromkeys(row[column] for row in rows)
        lines += ["", f"{title}: " + "; ".join(f"`{value}`" for value in values) + "."]
    lines += ["", f"Returns of every seed and all settings are in `learning_{name}.csv`.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--seeds", type=int, help="seeds per case")
    parser.add_argument("--steps", type=int, help="environment steps per seed")
    parser.add_argument("--seed", type=int, default=0, help="root of all randomness")
    parser.add_argument("--only", nargs="+", default=[], help="cases whose name contains one of these")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--overwrite", action="store_true", help="run cases again that are in the table")
    parser.add_argument(
        "--table", action="store_true", help="write the page of the rows that are there, and train nothing"
    )
    args = parser.parse_args()

    suite = SUITES[args.suite]
    seeds, steps = args.seeds or suite.seeds, args.steps or suite.steps
    path = args.results / f"learning_{args.suite}.csv"
    args.results.mkdir(parents=True, exist_ok=True)
    there: dict[str, dict[str, Any]] = {}
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            there = {row["case"]: row for row in csv.DictReader(file)}
    if args.table:
        if not there:
            raise SystemExit(f"{path} has no rows: python benchmarks/learning.py {args.suite} trains them")
        rows = [there[c.label] for c in suite.cases if c.label in there]
        path.with_suffix(".md").write_text(markdown(args.suite, suite, rows), encoding="utf-8")
        return
    for case in suite.cases:
        chosen = not args.only or any(part in case.label for part in args.only)
        if not chosen or (case.label in there and not args.overwrite):
            continue
        folder = RUNS / f"{suite.algorithm} {case.label} {steps}x{seeds} seed {args.seed}".replace(
            "/", "-"
        ).replace(" ", "_")
        if args.overwrite:
            shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        row = run(case, suite, folder, seeds, steps, args.seed)
        there[case.label] = row
        rows = [there[c.label] for c in suite.cases if c.label in there]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
        path.with_suffix(".md").write_text(markdown(args.suite, suite, rows), encoding="utf-8")
        print(f"{case.label}: IQM {row['iqm']:.4g} {interval(row)}", flush=True)


if __name__ == "__main__":
    main()
