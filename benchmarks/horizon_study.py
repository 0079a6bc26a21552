"""Does knowing the time left pay? The studies of `horizon_studies.py`, which says beforehand what will decide.

    python benchmarks/horizon_study.py STUDY cost  [--env NAME]
    python benchmarks/horizon_study.py STUDY train [--env NAME] [--only ARM ...] [--meta_seeds N ...]
    python benchmarks/horizon_study.py STUDY test  [--env NAME]
    python benchmarks/horizon_study.py STUDY table [--env NAME]

``train`` writes the run folders ``runs/horizon/<study>-<env>/<arm>/seed_<N>`` and, of each finished one, its objective, its
rows and its result into the store, ``benchmarks/results/horizon/<study>-<env>``. What is interrupted goes on from its last
generation; what is in the store is left alone, on whatever machine. ``test`` puts the return of every life of the test there;
``table`` makes ``benchmarks/results/horizon_<study>-<env>.md`` and ``.csv`` of the store and nothing else. ``cost`` times a few
generations and says what all would take. Step sizes of studies b come from the store of `value_of_time.py`, or from
``--step_sizes CONSTANT ANNEALED``.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import value_of_time
from horizon_studies import ANNEALED, CONSTANT, STUDIES, Study
from horizon_table import TUNED, write_tables

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.meta import MetaTrainConfig, meta_train
from jaxrl_evolve.meta_test import MetaTestConfig, TuningConfig, meta_test
from jaxrl_evolve.objectives.library import FILE_NAME
from jaxrl_evolve.objectives.stored import load, save
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.storage.sinks import read_jsonl

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


class Place(NamedTuple):
    """A study somewhere.

    Attributes:
        name: of the study.
        env: its environment.
        runs: where run folders lie.
        store: what is kept.
        study: what it is.
    """

    name: str
    env: str
    runs: Path
    store: Path
    study: Study

    def configuration(self, arm: str, seed: int) -> MetaTrainConfig[Any, Any, Any]:
        """One meta-training."""
        what = self.study.arms[arm]
        return MetaTrainConfig.preset(
            what.objective, self.env, **self.study.changes, **what.changes, seed=seed
        )

    def kept(self, arm: str, seed: int) -> Path:
        """The folder of the store for a meta-training."""
        return self.store / arm / f"seed_{seed}"


def best_step_sizes(env: str, gate: Path, num_envs: int) -> dict[float, float]:
    """PPO's best single step size, constant and annealed, by what is left of it at the horizon, from the value of time."""
    name = next((name for name, task in value_of_time.TASKS.items() if task.env == env), "")
    if not name:
        raise SystemExit(f"env is {env}, which value_of_time.py does not have: give --step_sizes")
    paths = [value_of_time.path_of(gate, name, num_envs, n) for n in value_of_time.TASKS[name].horizons]
    if not all(path.exists() for path in paths):
        raise SystemExit(
            f"{gate} lacks {name} at {num_envs} environments: run value_of_time.py first, or give --step_sizes"
        )
    cells = [value_of_time.load(path) for path in paths]
    returns = np.stack([cell.returns for cell in cells])
    chosen = value_of_time.choices(np.where(np.isfinite(returns), returns, -np.inf))
    rates, count = cells[0].rates, len(cells[0].rates)
    return {
        CONSTANT: float(rates[chosen["constant"][0]]),
        ANNEALED: float(rates[chosen["annealed"][0] - count]),
    }


def train(place: Place, arms: Sequence[str], seeds: Sequence[int]) -> None:
    """Every meta-training that the store lacks, meta-seed after meta-seed."""
    for seed in seeds:
        for arm in arms:
            kept = place.kept(arm, seed)
            if (kept / "result.json").exists():
                continue
            out = place.runs / arm / f"seed_{seed}"
            out.parent.mkdir(parents=True, exist_ok=True)
            result = meta_train(place.configuration(arm, seed), out, resume=out.exists(), quiet=False)
            keep(place, arm, seed, out, result.summary)
            print(f"{arm} seed {seed}: {result.summary['run_seconds'] / 60:.1f} minutes", flush=True)


def keep(place: Place, arm: str, seed: int, run: Path, summary: Mapping[str, Any]) -> None:
    """Objective, rows and result of a finished meta-training, as the store has them; the result last."""
    kept = place.kept(arm, seed)
    kept.mkdir(parents=True, exist_ok=True)
    where = f"{place.name} train --env {place.env} --only {arm} --meta_seeds {seed}"
    command = f"python benchmarks/horizon_study.py {where}"
    save(kept / FILE_NAME, dataclasses.replace(load(run / FILE_NAME), command=command))
    rows = (run / "metrics.jsonl").read_bytes()
    write_whole(kept / "metrics.jsonl.gz", gzip.compress(rows, mtime=0))
    facts = {**summary, **origin(), "seconds": summary["run_seconds"]}
    config = json.loads((run / "config.json").read_text())
    text = json.dumps({"config": config, **facts}, indent=1)
    write_whole(kept / "result.json", f"{text}\n".encode())


def test_configuration(place: Place, tuned: str) -> MetaTestConfig:
    """The test with step sizes tuned ``"once"`` or ``"per-horizon"``."""
    study, changes = place.study, place.study.changes
    trained = [arm for arm in study.arms if list((place.store / arm).glob(f"seed_*/{FILE_NAME}"))]
    aware = any(study.arms[arm].objective.startswith("ta-") for arm in trained)
    own = next(iter(study.arms.values())).changes.get("hp", {})
    return MetaTestConfig(
        objectives=(*(f"{arm}={place.store / arm}" for arm in trained), *study.untrained),
        envs=(place.env,),
        horizons=study.horizons,
        seeds=study.agent_seeds,
        baselines=tuple(study.baselines.values()),
        # Clocks that lie have the true one's step sizes, so once is enough.
        ablations=("frozen", "shuffled", "wrong") if tuned == "once" and aware else (),
        num_envs=changes["num_envs"],
        rollout_length=changes["rollout_length"],
        agents=(f"ppo.hp.learning_rate={own['learning_rate']}",) if own else (),
        episodes=changes["fitness"]["episodes"],
        max_steps=changes["fitness"].get("max_steps", 1_000),
        tuning=TuningConfig(
            learning_rates=study.rates,
            entropy_coefs=(0.01,),
            seeds=study.validation_seeds,
            objectives=True,
            per_horizon=tuned == "per-horizon",
        ),
        bins=1,
    )


def test(place: Place) -> None:
    """The return of every life of the test, with step sizes tuned once and per horizon."""
    for tuned in TUNED:
        out = place.runs / f"test-{tuned}"
        out.parent.mkdir(parents=True, exist_ok=True)
        meta_test(test_configuration(place, tuned), out, resume=out.exists(), quiet=False)
        kept = place.store / f"test-{tuned}"
        kept.mkdir(parents=True, exist_ok=True)
        for path in (out / "results").glob("*.npz"):
            shutil.copyfile(path, kept / path.name.partition("--")[2])


def cost(place: Place, generations: int = 4) -> None:
    """Time a few generations of every arm, and say what all of them would take."""
    total = 0.0
    for arm in place.study.arms:
        whole = place.configuration(arm, 1_000)
        config = dataclasses.replace(whole, generations=generations, test_every=generations)
        out = place.runs / "cost" / arm
        out.parent.mkdir(parents=True, exist_ok=True)
        meta_train(config, out, overwrite=out.exists(), quiet=True)
        rows = read_jsonl(out / "metrics.jsonl")[1:]
        seconds, steps = (np.diff([row[name] for row in rows]) for name in ("seconds", "env_steps"))
        # Lives are of random lengths, so time is told by steps.
        low, high = whole.horizons.range
        mean = (high - low) / np.log(high / low) * whole.evolution.population * whole.steps_per_update
        each = seconds.sum() / steps.sum() * mean
        all_of_them = place.study.meta_seeds * whole.generations * each / 60
        total += all_of_them
        print(f"{arm}: {each:.2f} s a generation of {mean:,.0f} steps, {all_of_them:.0f} minutes", flush=True)
    print(f"meta-training: {total:.0f} minutes on {os.cpu_count()} cores, tests besides", flush=True)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command's words."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("action", choices=["cost", "train", "test", "table"])
    parser.add_argument("--env", default="")
    parser.add_argument("--only", nargs="+", default=[], metavar="ARM")
    parser.add_argument("--meta_seeds", nargs="+", type=int, default=[])
    parser.add_argument("--step_sizes", nargs=2, type=float, default=None)
    parser.add_argument("--gate", type=Path, default=RESULTS / "value_of_time")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "horizon")
    parser.add_argument("--store", type=Path, default=RESULTS / "horizon")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    arms = list(STUDIES[given.study]({}).arms)
    if unknown := set(given.only) - set(arms):
        parser.error(f"--only has {min(unknown)}, which is no arm of it: {', '.join(arms)}")
    return given


def place_of(given: argparse.Namespace) -> Place:
    """The study that the words ask for."""
    make = STUDIES[given.study]
    env = given.env or make({}).env
    sizes: Mapping[float, float] = {}
    if given.step_sizes:
        sizes = dict(zip((CONSTANT, ANNEALED), given.step_sizes, strict=True))
    elif given.study.startswith("b") and given.action != "table":  # which makes no run
        sizes = best_step_sizes(env, given.gate, make({}).changes["num_envs"])
    name = f"{given.study}-{env.replace('/', '-')}"
    return Place(given.study, env, given.runs / name, given.store / name, make(sizes))


def main(words: Sequence[str] | None = None) -> None:
    """Do what the words ask for."""
    given = parse(words)
    given.results.mkdir(parents=True, exist_ok=True)
    place = place_of(given)
    if given.action == "table":
        write_tables(place.study, place.name, place.env, place.store, given.results)
        return
    use_all_cores()
    use_compilation_cache()
    if given.action == "train":
        seeds = given.meta_seeds or range(place.study.meta_seeds)
        train(place, given.only or list(place.study.arms), list(seeds))
    else:
        {"cost": cost, "test": test}[given.action](place)


if __name__ == "__main__":
    main()
