"""Does an objective generalise further if a curriculum chose the horizons that it was meta-trained at?

    python benchmarks/horizon_curricula.py train [--only NAME ...] [--seeds N ...]
    python benchmarks/horizon_curricula.py test

``train`` meta-trains TA-LPG on random grid worlds by evolution strategies, once for each way to choose horizons of 10 to 100 updates and each
meta-seed, into ``runs/horizon_curricula/<name>/seed_<N>``; what is interrupted goes on. ``test`` compares all of them on new tasks at
horizons within that range and beyond it, and writes ``benchmarks/results/horizon_curricula.md`` and ``.csv``. All have the same number of
generations and agents, not of environment steps: that is what choosing short lives saves, and the table tells it. Nothing was tuned for it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from learning import RESULTS, ROOT, hardware

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.meta import MetaTrainConfig, meta_train
from jaxrl_evolve.meta_test import MetaTestConfig, meta_test
from jaxrl_evolve.meta_test.config import TuningConfig
from jaxrl_evolve.results.report.text import markdown_table
from jaxrl_evolve.storage.folder import write_text

RUNS = ROOT / "runs" / "horizon_curricula"
OBJECTIVE, ENV = "ta-lpg", "grid/random-small"
CHOICES = (10, 18, 32, 56, 100)
SIZES: dict[str, Any] = {
    "generations": 120,
    "num_envs": 16,
    "evolution": {"population": 64, "learning_rate": 0.03, "learning_rate_decay": 0.975},
    "fitness": {"episodes": 32},
    "tests": 32,
}
TESTED = (10, 32, 100, 250, 500)

_ARMS = {"horizons": {"kind": "arms", "choices": CHOICES}}
WAYS: dict[str, Mapping[str, Any]] = {
    "log-uniform": {"horizons": {"kind": "log_uniform", "low": CHOICES[0], "high": CHOICES[-1]}},
    "growing": {"horizons": {"kind": "curriculum", "low": CHOICES[0], "high": CHOICES[-1]}},
    "uniform-arms": {**_ARMS, "curriculum": "uniform"},
    "progress": {**_ARMS, "curriculum": "tscl-window", "curriculum_options": {"floor": "0.2"}},
    "sec-progress": {
        **_ARMS,
        "curriculum": "sec",
        "curriculum_options": {"signal": "progress", "perplexity": "0.6", "floor": "0.1"},
    },
    "cheap-progress": {
        **_ARMS,
        "curriculum": "sec",
        "curriculum_options": {"signal": "progress", "perplexity": "0.6", "floor": "0.1", "costs": "steps"},
    },
}
"""How horizons are chosen, by name."""


def configuration(way: str, seed: int) -> MetaTrainConfig[Any, Any, Any]:
    """One meta-training."""
    return MetaTrainConfig.preset(OBJECTIVE, ENV, **SIZES, **WAYS[way], seed=seed)


def train(only: Sequence[str], seeds: Sequence[int]) -> None:
    """Every meta-training that is not finished."""
    for seed in seeds:
        for way in only or WAYS:
            out = RUNS / way / f"seed_{seed}"
            if not (out / "result.json").exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                meta_train(configuration(way, seed), out, resume=out.exists(), quiet=False)


def test() -> None:
    """The table of all that are finished."""
    found = {way: sorted((RUNS / way).glob("seed_*/result.json")) for way in WAYS}
    found = {way: [path.parent for path in paths] for way, paths in found.items() if paths}
    config = MetaTestConfig(
        objectives=tuple(f"{way}={','.join(map(str, folders))}" for way, folders in found.items()),
        envs=(ENV,),
        horizons=TESTED,
        baselines=("a2c",),
        ablations=(),
        num_envs=16,
        rollout_length=20,
        seeds=16,
        tuning=TuningConfig(seeds=8),
    )
    out = RUNS / "test"
    result = meta_test(config, out, resume=out.exists(), quiet=False)
    spent = [
        [way, len(folders), f"{sum(_steps(folder) for folder in folders) / len(folders):,.0f}"]
        for way, folders in found.items()
    ]
    facts = json.loads((out / "result.json").read_text())
    about = f"Hardware: `{hardware(facts['device'])}`. Date: {datetime.date.today()}. Command: `python benchmarks/horizon_curricula.py test`, after `… train`."
    cost = markdown_table(["Horizons by", "Meta-seeds", "Environment steps of a meta-training"], spent)
    write_text(RESULTS / "horizon_curricula.md", f"{result.markdown}\n{cost}\n\n{about}\n")
    shutil.copyfile(out / "meta_test.csv", RESULTS / "horizon_curricula.csv")


def _steps(folder: Path) -> int:
    return json.loads((folder / "result.json").read_text())["env_steps"]


def main() -> None:
    """Train or test."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["train", "test"])
    parser.add_argument("--only", nargs="+", default=[], choices=list(WAYS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    given = parser.parse_args()
    use_all_cores()
    if given.action == "train":
        train(given.only, given.seeds)
    else:
        test()


if __name__ == "__main__":
    main()
