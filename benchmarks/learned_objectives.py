"""Meta-trains learned objectives over several meta-seeds, for the tables and for the files that ship.

    python benchmarks/learned_objectives.py train grid|drift [--only NAME ...] [--seeds N ...]

writes the run folders ``runs/learned_objectives/<objective>/seed_<N>``. What is interrupted goes on from its
last generation; what is finished is left alone. Sizes were chosen with meta-seeds from 100 on, and the
reported ones count from 0.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.meta import MetaTrainConfig, meta_train

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "learned_objectives"


@dataclasses.dataclass(frozen=True)
class Study:
    """Objectives that are meta-trained alike, the one time-blind, the other not.

    Attributes:
        objectives: their names.
        env: the environment or family of levels they are meta-trained on.
        changes: of the preset, as `MetaTrainConfig.preset` takes them.
    """

    objectives: tuple[str, ...]
    env: str
    changes: Mapping[str, Any]


STUDIES: dict[str, Study] = {
    "grid": Study(
        ("ta-lpg", "lpg"),
        "grid/random-small",
        {
            "generations": 120,
            "num_envs": 16,
            # Three times the published step size, decaying faster: a hundred generations instead of thousands.
            "evolution": {"population": 64, "learning_rate": 0.03, "learning_rate_decay": 0.985},
            "fitness": {"episodes": 32},
            "tests": 32,
        },
    ),
    "drift": Study(
        ("ta-lpo", "lpo"),
        "CartPole-v1",
        {
            "generations": 150,
            "num_envs": 4,
            "rollout_length": 128,
            "evolution": {"population": 32},
            "horizons": {"kind": "fixed", "high": 20},
            "fitness": {"episodes": 16, "max_steps": 500},
            "hp": {"learning_rate": 2e-3},
            "tests": 16,
        },
    ),
}


def configuration(study: Study, objective: str, seed: int) -> MetaTrainConfig[Any, Any, Any]:
    """One meta-training of a study."""
    return MetaTrainConfig.preset(objective, study.env, **study.changes, seed=seed)


def folder(objective: str, seed: int) -> Path:
    """Where it is kept."""
    return RUNS / objective / f"seed_{seed}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["train"])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--only", nargs="+", default=[], help="objectives to train")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="meta-seeds")
    args = parser.parse_args()
    use_all_cores()
    study = STUDIES[args.study]
    for seed in args.seeds:
        for objective in study.objectives:
            if args.only and objective not in args.only:
                continue
            out = folder(objective, seed)
            out.parent.mkdir(parents=True, exist_ok=True)
            result = meta_train(configuration(study, objective, seed), out, resume=out.exists(), quiet=False)
            summary = result.summary
            print(f"{objective} seed {seed}: {summary['generations']} generations", flush=True)


if __name__ == "__main__":
    main()
