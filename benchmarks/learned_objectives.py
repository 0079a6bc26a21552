"""Meta-trains learned objectives over several meta-seeds, tests them, and ships the best of each.

    python benchmarks/learned_objectives.py train grid|drift [--only NAME ...] [--seeds N ...]
    python benchmarks/learned_objectives.py curves grid|drift
    python benchmarks/learned_objectives.py ship grid|drift
    python benchmarks/learned_objectives.py test grid|drift

``train`` writes the run folders ``runs/learned_objectives/<objective>/seed_<N>``. What is interrupted goes on from
its last generation; what is finished is left alone. ``curves`` draws what they did on their held-out tasks,
``benchmarks/results/meta_train_<study>.*``. ``ship`` chooses one meta-seed of each objective on tasks that
are reported nowhere, and writes its file and its model card into the package. ``test`` writes the tables and figures
``benchmarks/results/meta_test_<study>.*`` of all meta-seeds.

Sizes were chosen with meta-seeds from 100 on; the reported ones count from 0. But the drift study was cut to 30
generations, for want of time, after the training fitness (no test) of one reported meta-seed had been seen to level off.
And its largest candidate step size was added after a first test in which every arm had chosen the largest of three.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.meta import MetaTrainConfig, meta_train
from jaxrl_evolve.meta.outcome import held_out
from jaxrl_evolve.meta_test import MetaTestConfig, meta_test
from jaxrl_evolve.meta_test.config import TuningConfig
from jaxrl_evolve.objectives.stored import load, save
from jaxrl_evolve.objectives.time_config import TimeFeatures
from jaxrl_evolve.results import figures, statistics
from jaxrl_evolve.storage.sinks import read_jsonl

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "learned_objectives"
RESULTS = ROOT / "benchmarks" / "results"
SHIPPED = ROOT / "jaxrl_evolve" / "objectives" / "shipped"
CHOICE_SEED = 1_000
"""Root of the tasks that decide which meta-seed is shipped."""


@dataclasses.dataclass(frozen=True)
class Study:
    """Objectives that are meta-trained alike, the one time-blind, the other not.

    Attributes:
        objectives: their names.
        env: the environment or family of levels they are meta-trained on.
        changes: of the preset, as `MetaTrainConfig.preset` takes them.
        test: fields of the `MetaTestConfig`, without the objectives.
    """

    objectives: tuple[str, ...]
    env: str
    changes: Mapping[str, Any]
    test: Mapping[str, Any]


_OF_BEFORE = {"shaping": "centred_rank", "keys": "pair"}
"""Of the drift study, which is older than today's presets; so are its annealed step sizes and its one time feature. The
time columns of its TA-LPO were zero at the start, which is no setting any more."""

STUDIES: dict[str, Study] = {
    "grid": Study(
        ("ta-lpg", "lpg"),
        "grid/random-small",
        {
            "generations": 120,
            "num_envs": 16,
            # Three times the published step size, decaying faster: a hundred generations instead of thousands.
            "evolution": {"population": 64, "learning_rate": 0.03, "learning_rate_decay": 0.975},
            "fitness": {"episodes": 32},
            "tests": 32,
        },
        {
            "envs": ("grid/random-small",),
            "horizons": (10, 25, 50, 100, 250, 500, 1000),
            "baselines": ("a2c", "a2c-constant", "random"),
            "ablations": ("frozen", "shuffled", "wrong"),
            "num_envs": 16,
            "rollout_length": 20,
            "seeds": 16,
            "tuning": TuningConfig(seeds=8),
        },
    ),
    "drift": Study(
        ("ta-lpo", "lpo"),
        "CartPole-v1",
        {
            "generations": 30,
            "num_envs": 4,
            "rollout_length": 128,
            "evolution": {"population": 32, "learning_rate_decay": 0.98, **_OF_BEFORE},
            "horizons": {"kind": "fixed", "high": 20},
            "fitness": {"episodes": 16, "max_steps": 500},
            "hp": {"learning_rate": 2e-3, "learning_rate_end": 0.0},
            "tests": 16,
        },
        {
            "envs": ("CartPole-v1", "Acrobot-v1", "Catch-bsuite", "FourRooms-misc"),
            "horizons": (5, 10, 20, 40, 100),
            "baselines": ("ppo", "ppo-constant"),
            "ablations": (),
            "num_envs": 4,
            "rollout_length": 128,
            "agents": ("ppo.hp.learning_rate=2e-3",),
            "episodes": 32,
            "seeds": 16,
            "tuning": TuningConfig(
                learning_rates=(5e-4, 2e-3, 8e-3, 3.2e-2), entropy_coefs=(0.0, 0.01), seeds=4, objectives=True
            ),
        },
    ),
}


def configuration(study: Study, objective: str, seed: int) -> MetaTrainConfig[Any, Any, Any]:
    """One meta-training of a study."""
    time = {"settings": {"time": TimeFeatures(("fraction",))}} if objective == "ta-lpo" else {}
    return MetaTrainConfig.preset(objective, study.env, **study.changes, **time, seed=seed)


def folder(objective: str, seed: int) -> Path:
    """Where it is kept."""
    return RUNS / objective / f"seed_{seed}"


def train(name: str, only: Sequence[str], seeds: Sequence[int]) -> None:
    """Every meta-training of a study that is not finished."""
    study = STUDIES[name]
    for seed in seeds:
        for objective in study.objectives:
            out = folder(objective, seed)
            if (only and objective not in only) or (out / "result.json").exists():
                continue
            out.parent.mkdir(parents=True, exist_ok=True)
            result = meta_train(configuration(study, objective, seed), out, resume=out.exists(), quiet=False)
            print(f"{objective} seed {seed}: {result.summary['generations']} generations", flush=True)


def curves(name: str) -> None:
    """Held-out fitness over the generations of all meta-seeds, as a table and a figure."""
    study, lines, drawn, label = STUDIES[name], ["objective,meta_seed,generation,env_steps,score"], [], ""
    for objective in study.objectives:
        scores, steps = [], []
        for path in sorted((RUNS / objective).glob("seed_*")):
            rows = [row for row in read_jsonl(path / "metrics.jsonl") if "test_fitness" in row]
            fitness, label = held_out(rows)
            steps = [row["env_steps"] for row in rows]
            scores.append(fitness.mean(0))
            for row, score in zip(rows, scores[-1], strict=True):
                lines.append(
                    f"{objective},{path.name[5:]},{row['generation']},{row['env_steps']},{score:.4f}"
                )
        drawn.append(figures.Curve(objective, np.asarray(steps), np.asarray(scores)))
    (RESULTS / f"meta_train_{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    figures.learning_curves(
        drawn,
        RESULTS / f"meta_train_{name}.png",
        title=study.env,
        xlabel="Environment steps of the meta-training",
        ylabel=label,
        per_seed=True,
    )


def test(name: str) -> None:
    """The tables and figures of a study."""
    out = RUNS / f"test_{name}"
    study = STUDIES[name]
    objectives = tuple(f"{objective}={RUNS / objective}" for objective in study.objectives)
    result = meta_test(
        MetaTestConfig(objectives=objectives, **study.test), out, resume=out.exists(), quiet=False
    )
    facts = json.loads((out / "result.json").read_text())
    where = (
        f"Hardware: {facts['device']['cpu_cores']} cores, no accelerator; jax {facts['versions']['jax']}; {datetime.date.today()}. "
        f"Command: `python benchmarks/learned_objectives.py test {name}`, after `… train {name}`."
    )
    (RESULTS / f"meta_test_{name}.md").write_text(f"{result.markdown}\n{where}\n", encoding="utf-8")
    for source in out.iterdir():
        if source.suffix == ".png" or source.name in ("meta_test.csv", "improvement.csv", "tuning.csv"):
            own = source.name.removeprefix("meta_test").removeprefix(".")
            separator = "." if source.stem == "meta_test" else "_"
            shutil.copyfile(source, RESULTS / f"meta_test_{name}{separator}{own}")


def _choice(study: Study, objective: str) -> tuple[Path, float]:
    """The best meta-seed of an objective on tasks that are reported nowhere, by IQM over seeds and horizons."""
    folders = sorted((RUNS / objective).glob("seed_*"))
    own = {**study.test, "envs": (study.env,), "baselines": (), "ablations": (), "seed": CHOICE_SEED}
    own["tuning"] = TuningConfig(off=True)
    config = MetaTestConfig(objectives=(f"{objective}={','.join(map(str, folders))}",), **own)
    result = meta_test(config, quiet=False)
    (outcome,) = result.outcomes.values()
    known = np.isfinite(outcome.optimum).all()
    fits = outcome.optimum > 0.01 if known else np.ones(len(outcome.optimum), bool)
    scores = outcome.returns[:, fits] / (outcome.optimum[fits][None, :, None] if known else 1.0)
    values = [statistics.iqm(np.nan_to_num(own, nan=-np.inf).reshape(-1)) for own in scores]
    best = int(np.argmax(values))
    return folders[best], float(values[best])


def ship(name: str) -> None:
    """Put the best meta-seed of each objective of a study into the package, with a card."""
    study = STUDIES[name]
    for objective in study.objectives:
        best, value = _choice(study, objective)
        stored, seed = load(best), int(best.name.removeprefix("seed_"))
        command = f"python benchmarks/learned_objectives.py train {name} --only {objective} --seeds {seed}"
        scores = {**stored.scores, "choice_iqm": value}
        # Files of meta-trainings from before this was recorded lack the agents' sizes, which a meta-test wants.
        sizes = {
            "num_envs": study.changes["num_envs"],
            "rollout_length": study.changes.get("rollout_length", 20),
        }
        budget = {**sizes, **stored.budget}
        stored = dataclasses.replace(stored, command=command, scores=scores, budget=budget)
        save(SHIPPED / f"{objective}.npz", stored)
        (SHIPPED / f"{objective}.md").write_text(card(name, study, objective, stored), encoding="utf-8")
        print(f"{objective}: {best}, IQM {value:.3f} on the tasks of the choice", flush=True)


def card(name: str, study: Study, objective: str, stored: Any) -> str:
    """The model card of a shipped objective."""
    budget, settings = stored.budget, stored.settings
    others = ", ".join(f"{k} {v}" for k, v in dataclasses.asdict(settings).items() if k != "time")
    time = ", ".join(settings.time.names) or "none: it does not know the time"
    count = sum(leaf.size for leaf in stored.eta.values())
    return f"""# {objective}

| | |
|---|---|
| Family | `{stored.kind}`, {count:,} parameters: {others} |
| Reads of the clock | {time} |
| Meta-trained on | `{study.env}`, by evolution strategies |
| Agents | {study.changes["num_envs"]} environments x {study.changes.get("rollout_length", 20)} steps per update |
| Horizons | {stored.horizons} |
| Budget | {budget["generations"]} generations of {budget["population"]} agents, {budget["env_steps"]:,} environment steps |
| Meta-seed | {stored.seeds[0]}, the best of five on tasks that are reported nowhere (IQM {stored.scores["choice_iqm"]:.3f}) |
| Scores | of all five meta-seeds: `benchmarks/results/meta_test_{name}.md` |
| Command | `{stored.command}` |
| Date | {stored.date} |
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["train", "curves", "ship", "test"])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--only", nargs="+", default=[], help="objectives to train")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="meta-seeds to train")
    args = parser.parse_args()
    use_all_cores()
    if args.action == "train":
        train(args.study, args.only, args.seeds)
    else:
        {"curves": curves, "ship": ship, "test": test}[args.action](args.study)


if __name__ == "__main__":
    main()
