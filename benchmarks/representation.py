"""What self-prediction does for PPO on pixels: plain PPO against PPO that predicts its own features, at equal steps, in pairs of seeds.

    python benchmarks/representation.py [--steps N] [--results DIR] [--runs DIR]

writes ``benchmarks/results/representation.csv`` and ``.md``; what is in the table is not run again, and what was interrupted goes on
from its last checkpoint in ``runs/representation``.

Written before the first run:

- Primary outcome: the mean over 5 pairs of seeds of the difference of final greedy return (64 whole episodes each), PPO with
  self-prediction less plain PPO, on Breakout-MinAtar after 65,536 steps, with Student's 95 % interval. An effect is claimed only if
  that interval is without zero. Both seeds of a pair begin with the same weights, environments and keys.
- Beside it: the interquartile mean of each arm, the time of an update with and without, and how far predictions are above chance.
- Room: plain PPO, as tuned, after four times as many steps. If it is not clearly better then, there is no room to see an effect in.
- Both arms are tuned equally: 4 settings each, 2 seeds of another root, the best mean final return is taken. Plain PPO tries 4 step
  sizes, the other 2 step sizes x 2 coefficients.

Added once the main runs were seen, and therefore no evidence of an effect: plain PPO had chosen the largest of its step sizes, which the
other arm had not tried. So the other arm is also run with that one and both coefficients (stage ``afterwards``).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics as plain_statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from learning import RESULTS, ROOT, hardware

from jaxrl_evolve import random
from jaxrl_evolve.results import statistics
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import EvaluationConfig, TrainConfig
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.train import train

GAME, STEPS, SEEDS, ROOM = "Breakout-MinAtar", 65_536, 5, 4
TUNING_ROOT, TUNING_SEEDS = 100, 2
ARMS: dict[str, tuple[dict[str, Any], ...]] = {
    "plain": tuple({"hp.learning_rate": rate} for rate in (1e-3, 2.5e-3, 5e-3, 1e-2)),
    "self-prediction": tuple(
        {"hp.learning_rate": rate, "hp.prediction_coef": coef, "learner.predicted": 5}
        for rate in (2.5e-3, 5e-3)
        for coef in (0.2, 1.0)
    ),
}
AFTERWARDS: tuple[dict[str, Any], ...] = tuple(
    {"hp.learning_rate": 1e-2, "hp.prediction_coef": coef, "learner.predicted": 5} for coef in (0.2, 1.0)
)
COLUMNS = (
    *("stage", "arm", "setting", "env_steps", "root_seed", "seed", "eval_return", "train_return"),
    *("prediction_cosine", "prediction_chance", "date", "commit"),
)


def settings_of(arm: str, changes: Mapping[str, Any], steps: int, root: int, seeds: int) -> TrainConfig:
    """One configuration; both arms have the same network, batches and passes."""
    return TrainConfig.preset(
        "ppo",
        GAME,
        **{
            "steps": steps,
            "seeds": seeds,
            "seed": root,
            "num_envs": 64,
            "rollout_length": 32,
            "rows": 8,
            "checkpoints": 4,
            "learner.minibatches": 8,
            "learner.network": {"encoder": "minatar", "shared": True, "hidden": (64, 64)},
            "evaluation": EvaluationConfig(times=1, episodes=16, final_episodes=64, max_steps=1_000),
            **changes,
        },
    )


def told(changes: Mapping[str, Any]) -> str:
    """A setting in one cell."""
    return " ".join(f"{name.rpartition('.')[2]}={value:g}" for name, value in changes.items())


def cell(
    stage: str, arm: str, changes: Mapping[str, Any], steps: int, root: int, seeds: int, runs: Path
) -> list[dict[str, Any]]:
    """Rows of one training, one for each seed."""
    folder = runs / f"{stage} {arm} {told(changes)} {steps} seed {root}".replace(" ", "_")
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = settings_of(arm, changes, steps, root, seeds)
    result = train(config, folder, resume=folder.exists(), quiet=True)
    last = result.rows[-1]
    commit = (result.summary["git"] or {}).get("commit")
    about = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "commit": commit}
    return [
        {
            "stage": stage,
            "arm": arm,
            "setting": told(changes),
            "env_steps": result.summary["env_steps"],
            "root_seed": root,
            "seed": i,
            "eval_return": round(float(result.eval_return[i]), 4),
            "train_return": round(float(last["episode_return"][i]), 4),
            **{
                name: round(float(last[name][i]), 4) if name in last else ""
                for name in ("prediction_cosine", "prediction_chance")
            },
            **about,
        }
        for i in range(seeds)
    ]


def best(rows: list[dict[str, Any]], arm: str) -> Mapping[str, Any]:
    """The setting of an arm with the best mean over the seeds that it was tuned on."""
    mean = lambda setting: float(
        np.mean([float(r["eval_return"]) for r in of(rows, "tuning", arm) if r["setting"] == setting])
    )
    return max(ARMS[arm], key=lambda changes: mean(told(changes)))


def of(rows: list[dict[str, Any]], stage: str, arm: str) -> list[dict[str, Any]]:
    """Rows of one stage and arm."""
    return [row for row in rows if (row["stage"], row["arm"]) == (stage, arm)]


def update_times(rows: list[dict[str, Any]], repeats: int = 5) -> dict[str, list[float]]:
    """Processor seconds of an update of one seed, both arms in turn."""
    programs = {}
    for arm in ARMS:
        experiment = build(settings_of(arm, best(rows, arm), STEPS, 0, 1))
        hp, env = traced(experiment.learner.default_hp), experiment.env
        state = jax.jit(experiment.chunk.init)(random.key(0), hp, env.params)
        run = jax.jit(experiment.chunk.run)
        programs[arm] = lambda run=run, given=(state, hp, (), env.params): jax.block_until_ready(
            run(*given, jnp.float32(32), jnp.int32(2))
        )
        programs[arm]()
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for _ in range(repeats):
        for arm, run in programs.items():
            began = time.process_time()
            run()
            found[arm].append((time.process_time() - began) / 2)
    return found


def paired(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> statistics.Estimate:
    """Mean difference of others and plain PPO over the pairs, with its interval."""
    by_seed = lambda own: {int(row["seed"]): float(row["eval_return"]) for row in own}
    plain, other = by_seed(of(rows, "main", "plain")), by_seed(others)
    return statistics.mean_of_pairs([other[seed] - plain[seed] for seed in plain])


def markdown(rows: list[dict[str, Any]], times: Mapping[str, list[float]], about: Mapping[str, str]) -> str:
    """The table for readers."""
    values = lambda stage, arm: np.asarray([float(r["eval_return"]) for r in of(rows, stage, arm)])
    lines = [
        f"# Self-prediction beside plain PPO: {GAME}",
        "",
        f"Final greedy return (64 whole episodes), {SEEDS} seeds, interquartile mean with its 95 % bootstrap interval. Both arms: 64 "
        "environments x 32 steps, 4 epochs of 8 minibatches, one convolution of 16 channels, a shared trunk of 64 and 64 units. Settings "
        f"were tuned on {TUNING_SEEDS} other seeds, 4 for each arm. Primary outcome and plan were written into "
        "`benchmarks/representation.py` before the first run.",
        "",
        "| arm | steps | setting | IQM | 95 % interval | seeds | cosine | of chance |",
        "|---|--:|---|--:|--:|---|--:|--:|",
    ]
    for stage, arm in (("main", "plain"), ("main", "self-prediction"), ("room", "plain")):
        found, own = values(stage, arm), of(rows, stage, arm)
        centre = statistics.estimate(found)
        cosines = [
            f"{np.mean([float(r[name]) for r in own]):.3f}" if own[0][name] != "" else ""
            for name in ("prediction_cosine", "prediction_chance")
        ]
        lines.append(
            f"| {arm} | {int(own[0]['env_steps']):,} | {own[0]['setting']} | {centre.value:.2f} "
            f"| [{centre.low:.2f}, {centre.high:.2f}] | {' '.join(f'{x:.2f}' for x in found)} | {' | '.join(cosines)} |"
        )
    difference, low, high = paired(rows, of(rows, "main", "self-prediction"))
    claim = "without zero: an effect" if low > 0 or high < 0 else "with zero in it: no effect is shown"
    ratio = plain_statistics.median(times["self-prediction"]) / plain_statistics.median(times["plain"])
    lines += [
        "",
        f"**Primary outcome**: self-prediction less plain, mean of {SEEDS} pairs: {difference:+.2f} [{low:+.2f}, {high:+.2f}] (Student), {claim}.",
        "",
        f"{SEEDS} pairs would show a difference of about {difference - low:.1f} and more, where four times the steps add "
        f"{values('room', 'plain').mean() - values('main', 'plain').mean():.1f}. Plain PPO chose the largest step size that it was offered; "
        "the other arm was not offered it. Afterwards, and so no evidence:",
        "",
        *afterwards(rows),
        "",
        f"An update takes {ratio:.2f} times the processor time (medians of {len(times['plain'])} in turn, on a shared machine: "
        + ", ".join(f"{arm} {plain_statistics.median(x):.2f} s" for arm, x in times.items())
        + ").",
        "",
        "| tuned: arm | setting | mean return |",
        "|---|---|--:|",
    ]
    for arm, settings in ARMS.items():
        for changes in settings:
            own = [r for r in of(rows, "tuning", arm) if r["setting"] == told(changes)]
            lines.append(
                f"| {arm} | {told(changes)} | {np.mean([float(r['eval_return']) for r in own]):.2f} |"
            )
    lines += ["", *(f"{name}: `{value}`.\n" for name, value in about.items())]
    return "\n".join(lines)


def afterwards(rows: list[dict[str, Any]]) -> list[str]:
    """What was run once the result was known."""
    lines = ["| self-prediction with | mean | seeds | less plain, mean of pairs |", "|---|--:|---|--:|"]
    for changes in AFTERWARDS:
        own = [r for r in of(rows, "afterwards", "self-prediction") if r["setting"] == told(changes)]
        found, (difference, low, high) = [float(r["eval_return"]) for r in own], paired(rows, own)
        seeds = " ".join(f"{x:.2f}" for x in found)
        interval = f"{difference:+.2f} [{low:+.2f}, {high:+.2f}]"
        lines.append(f"| {told(changes)} | {np.mean(found):.2f} | {seeds} | {interval} |")
    return lines


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps per seed")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "representation", help="run folders")
    args = parser.parse_args(words)
    args.results.mkdir(parents=True, exist_ok=True)
    path, rows = args.results / "representation.csv", list[dict[str, Any]]()
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))

    def ensure(stage: str, arm: str, changes: Mapping[str, Any], steps: int, root: int, seeds: int) -> None:
        if any(row["setting"] == told(changes) for row in of(rows, stage, arm)):
            return
        rows.extend(cell(stage, arm, changes, steps, root, seeds, args.runs))
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        last = [float(row["eval_return"]) for row in rows[-seeds:]]
        print(stage, arm, told(changes), last, datetime.datetime.now().time(), flush=True)

    for arm, settings in ARMS.items():
        for changes in settings:
            ensure("tuning", arm, changes, args.steps, TUNING_ROOT, TUNING_SEEDS)
    ensure("room", "plain", best(rows, "plain"), ROOM * args.steps, 0, SEEDS)
    for arm in ARMS:
        ensure("main", arm, best(rows, arm), args.steps, 0, SEEDS)
    for changes in AFTERWARDS:
        ensure("afterwards", "self-prediction", changes, args.steps, 0, SEEDS)
    origin = provenance()
    about = {
        "Hardware": hardware(origin["device"]),
        "Versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "Command": "python benchmarks/representation.py",
    }
    text = markdown(rows, update_times(rows), about)
    (args.results / "representation.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
