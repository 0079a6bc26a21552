"""Does a Disco rule teach an agent to catch? The check of the published weights, and of any stored rule.

    python benchmarks/disco_catch.py --weights FILE [--updates 1000] [--seeds 1] [--published-agent]

``FILE`` is the archive that the authors publish (``disco_103.npz``), or a stored objective of kind disco. Writes
``benchmarks/results/disco_catch.md`` and ``.png``. A run that was interrupted goes on from its last checkpoint in
``runs/disco_catch``.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from learning import hardware

from jaxrl_evolve.objectives.disco import convert
from jaxrl_evolve.objectives.stored import StoredObjectiveError, load
from jaxrl_evolve.results import statistics
from jaxrl_evolve.storage.sinks import read_jsonl
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.outcome import TrainResult
from jaxrl_evolve.training.train import train

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RUNS = ROOT / "runs" / "disco_catch"
ENV = "Catch-bsuite"
ROLLOUT = 29
SMALL_AGENT = {"network": {"hidden": (64, 64)}, "model": 32, "head": 32}


def stored(weights: Path) -> Path:
    """The weights as a stored objective."""
    try:
        load(weights)
    except StoredObjectiveError:
        RUNS.mkdir(parents=True, exist_ok=True)
        convert(weights, out := RUNS / "disco.npz")
        return out
    return weights


def configuration(options: argparse.Namespace, objective: Path) -> TrainConfig[Any, Any]:
    return TrainConfig.preset(
        "disco",
        ENV,
        objective=str(objective),
        steps=options.updates * options.envs * ROLLOUT,
        num_envs=options.envs,
        rollout_length=ROLLOUT,
        seeds=options.seeds,
        seed=options.seed,
        hp={"learning_rate": options.learning_rate},
        learner={} if options.published_agent else SMALL_AGENT,
    )


def table(options: argparse.Namespace, result: TrainResult, rows: list[dict[str, Any]]) -> str:
    config, facts = result.config, result.summary
    versions = " ".join(f"{name}={facts['versions'][name]}" for name in ("python", "jax", "flax", "gymnax"))
    lines = [
        "# Disco on Catch",
        "",
        "Share of balls caught by the greedy policy, in environments of its own: interquartile mean over seeds with its "
        f"95 % bootstrap interval. {config.evaluation.episodes} episodes per seed, {config.evaluation.final_episodes} in the "
        "last row. A policy that moves at random catches about a fifth.",
        "",
        "| learner steps | environment steps | caught | 95 % interval | seeds |",
        "|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        caught = [(x + 1.0) / 2.0 for x in row["eval_return"]]  # a ball caught pays 1, one that is lost -1
        e = statistics.estimate(caught, statistics.iqm, non_finite="worst")
        steps = f"{row['env_steps'] // config.steps_per_update:,} | {row['env_steps']:,}"
        interval = f"[{e.low:.3f}, {e.high:.3f}]" if len(caught) >= statistics.FEWEST else ""
        lines.append(f"| {steps} | {e.value:.3f} | {interval} | {len(caught)} |")
    agent = config.learner
    lines += [
        "",
        f"Agent: torso {agent.network.hidden}, model {agent.model}, heads {agent.head}; {config.num_envs} environments of "
        f"{ROLLOUT} steps per learner step, no replay; Adam with step size {options.learning_rate:g}, constant. Seed "
        f"{config.seed}.",
        "",
        f"Weights: `{options.weights.name}`, SHA-256 `{hashlib.sha256(options.weights.read_bytes()).hexdigest()}` (not part of "
        "this library).",
        "",
        f"Hardware: `{hardware(facts['device'])}`. {datetime.date.today()}. {facts['run_seconds']:.0f} s of training.",
        "",
        f"Versions: `{versions}`.",
        "",
        f"Command: `python benchmarks/disco_catch.py {command()}`.",
        "",
    ]
    return "\n".join(lines)


def command() -> str:
    """The arguments, without the place of files."""
    return shlex.join(Path(word).name if "/" in word else word for word in sys.argv[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", type=Path, required=True, help="published weights, or a stored objective"
    )
    parser.add_argument("--updates", type=int, default=1000, help="learner steps")
    parser.add_argument("--envs", type=int, default=16, help="environments of one agent")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--published-agent", action="store_true", help="the published agent's sizes")
    options = parser.parse_args()
    config = configuration(options, stored(options.weights))
    result = train(config, RUNS / "run", resume=True)
    rows = [row for row in read_jsonl(RUNS / "run" / "metrics.jsonl") if "eval_return" in row]
    text = table(options, result, rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "disco_catch.md").write_text(text)
    shutil.copyfile(RUNS / "run" / "curves.png", RESULTS / "disco_catch.png")
    print(text)


if __name__ == "__main__":
    main()
