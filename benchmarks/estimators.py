"""Which estimator improves an objective more for the same experience? Evolution strategies, their windows, and meta-gradients.

    python benchmarks/estimators.py tune  [--only NAME ...]
    python benchmarks/estimators.py train [--only NAME ...] [--meta_seeds N ...]
    python benchmarks/estimators.py table

All meta-train the same LPG on random grid worlds, from the same start, at lives of 10 to 100 updates. What was written down before any run:
each spends `BUDGET` environment steps, held-out lives and evaluations of fitness counted in; the step size of each is the best of three
by the held-out fitness of two meta-seeds that are not reported (``tune``); the primary outcome is the mean held-out fitness at the end, as a
fraction of the optimum, over meta-seeds 0 to 4, and its paired difference to evolution strategies on the same meta-seed. An estimator is better or
worse if the 95 % interval (Student's) of that difference leaves out zero. Held-out lives are the same for all with a meta-seed.

Each meta-training is a folder of the store, ``benchmarks/results/estimators``, with its rows and its result; those that are there are left
alone, and one that was interrupted goes on in ``runs/estimators``. ``table`` makes ``benchmarks/results/estimators.md`` and ``.csv`` of the store and nothing else.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.meta import MetaTrainConfig, meta_train
from jaxrl_evolve.results.report.text import csv_text, markdown_table, number, with_bounds
from jaxrl_evolve.results.statistics import estimate, mean, mean_of_pairs
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.storage.sinks import read_jsonl

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
BUDGET = 40_000_000
"""Environment steps of one meta-training, all of them."""
OBJECTIVE, ENV = "lpg", "grid/random-small"
AGENTS = 64
TUNED, REPORTED = (100, 101), (0, 1, 2, 3, 4)
"""Meta-seeds of the choice of a step size, and those of the table."""

_RATES = (0.01, 0.03, 0.1)
ESTIMATORS: dict[str, tuple[Mapping[str, Any], str, tuple[float, ...]]] = {
    "es": ({"estimator": "es"}, "evolution", _RATES),
    "pes": ({"estimator": "pes"}, "evolution", _RATES),
    "nres": ({"estimator": "pes", "persistent": {"noise": "reuse"}}, "evolution", _RATES),
    "meta-gradient": ({"estimator": "meta-gradient"}, "gradient", (3e-4, 1e-3, 3e-3)),
}
"""By name: what is changed, the settings that have its step size, and what this can be."""


def configuration(name: str, rate: float, seed: int, generations: int) -> MetaTrainConfig[Any, Any, Any]:
    """One meta-training."""
    changes, where, _ = ESTIMATORS[name]
    size = {"lifetimes": AGENTS} if where == "gradient" else {"population": AGENTS}
    return MetaTrainConfig.preset(
        OBJECTIVE,
        ENV,
        **changes,
        **{where: {**size, "learning_rate": rate}},
        num_envs=16,
        rollout_length=20,
        horizons={"kind": "log_uniform", "low": 10, "high": 100},
        fitness={"episodes": 32},
        generations=generations,
        tests=64,
        test_every=max(1, generations // 10),
        seed=seed,
    )


def spent(row: Mapping[str, Any]) -> int:
    """Environment steps up to a row, of learning and of judging."""
    return int(row["env_steps"]) + int(row["evaluation_steps"])


def generations_of(name: str, probe: Path) -> int:
    """How many generations the budget pays for, by what the first four of another meta-seed spend."""
    path = probe / name
    config = configuration(name, ESTIMATORS[name][2][0], 99, 4)
    if not (path / "result.json").exists():
        meta_train(config, path, resume=path.exists(), quiet=True)
    rows = list(read_jsonl(path / "metrics.jsonl"))
    # Held-out lives are tested eleven times, whatever the number of generations.
    tested = spent(rows[0])
    each = (spent(rows[-1]) - tested * len([r for r in rows if "test_fitness" in r])) / 4
    return max(10, round((BUDGET - 11 * tested) / each))


def cell(store: Path, name: str, rate: float, seed: int) -> Path:
    return store / name / f"{rate:g}" / f"seed_{seed}"


def made(store: Path, runs: Path, name: str, rate: float, seed: int) -> None:
    """A meta-training in the store, unless it is there."""
    kept = cell(store, name, rate, seed)
    if (kept / "result.json").exists():
        return
    out = cell(runs, name, rate, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    config = configuration(name, rate, seed, generations_of(name, runs / "probe"))
    result = meta_train(config, out, resume=out.exists(), quiet=True)
    kept.mkdir(parents=True, exist_ok=True)
    write_whole(kept / "metrics.jsonl.gz", gzip.compress((out / "metrics.jsonl").read_bytes(), mtime=0))
    facts = {"name": name, "rate": rate, "meta_seed": seed, **result.summary, **origin()}
    write_whole(kept / "result.json", f"{json.dumps(facts, indent=1)}\n".encode())
    print(f"{name} at {rate:g}, meta-seed {seed}: {final(kept):.3f}", flush=True)


def rows_of(kept: Path) -> list[dict[str, Any]]:
    """The rows of a meta-training that tell held-out fitness, oldest first."""
    lines = gzip.decompress((kept / "metrics.jsonl.gz").read_bytes()).splitlines()
    return [row for row in map(json.loads, lines) if "test_fitness" in row]


def fraction(row: Mapping[str, Any]) -> float:
    """Mean held-out fitness as a fraction of the optimum; lives without a return to be had are left out."""
    fitness, best = (np.asarray(row[key], float) for key in ("test_fitness", "test_optimum"))
    fits = best >= 0.01
    return float(np.mean(np.nan_to_num(fitness[fits], nan=0.0) / best[fits]))


def final(kept: Path) -> float:
    return fraction(rows_of(kept)[-1])


def chosen(store: Path, name: str) -> float | None:
    """The step size that did best for the meta-seeds of the choice; None while some are missing."""
    found: dict[float, float] = {}
    for rate in ESTIMATORS[name][2]:
        cells = [cell(store, name, rate, seed) for seed in TUNED]
        if not all((kept / "result.json").exists() for kept in cells):
            return None
        found[rate] = float(np.mean([final(kept) for kept in cells]))
    return max(found, key=lambda rate: found[rate])


def train(store: Path, runs: Path, names: Sequence[str], seeds: Sequence[int]) -> None:
    """The reported meta-trainings at the step sizes that were chosen, meta-seed after meta-seed."""
    for seed in seeds:
        for name in names:
            rate = chosen(store, name)
            if rate is None:
                raise SystemExit(
                    f"{name} has no step size yet: python benchmarks/estimators.py tune --only {name}"
                )
            made(store, runs, name, rate, seed)


def reported(store: Path) -> Iterator[tuple[str, float, list[Path]]]:
    """Estimators with the step size and the meta-trainings of each."""
    for name in ESTIMATORS:
        rate = chosen(store, name)
        if rate is not None:
            cells = [cell(store, name, rate, seed) for seed in REPORTED]
            yield name, rate, [kept for kept in cells if (kept / "result.json").exists()]


def table(store: Path, results: Path) -> None:
    """``estimators.md`` and ``.csv``."""
    lines, rows, first, facts = [], [], dict[str, float](), list[Mapping[str, Any]]()
    for name, rate, cells in reported(store):
        if not cells:
            continue
        facts += [json.loads((kept / "result.json").read_text()) for kept in cells]
        tested = [rows_of(kept) for kept in cells]
        ends = {kept.name: fraction(each[-1]) for kept, each in zip(cells, tested, strict=True)}
        first = first or ends
        pairs = [ends[seed] - first[seed] for seed in ends if seed in first]
        begin = np.mean([fraction(each[0]) for each in tested])
        steps = np.mean([spent(each[-1]) for each in tested])
        lines.append(
            [
                name, f"{rate:g}", len(cells), f"{steps:,.0f}", number(begin),
                with_bounds(estimate([*ends.values()], mean)),
                "" if ends is first else with_bounds(mean_of_pairs(pairs)),
            ]
        )  # fmt: skip
        rows += [[name, rate, seed, spent(each[-1]), fraction(each[0]), end] for (seed, end), each in zip(ends.items(), tested, strict=True)]  # fmt: skip
    header = ["Estimator", "Step size", "Meta-seeds", "Environment steps", "Before", "Held-out fitness / optimum", "Less that of es, in pairs"]  # fmt: skip
    told = lambda key: "; ".join(sorted({str(fact[key]) for fact in facts}))
    parts = [
        "# Estimators of meta-training",
        (__doc__ or "").split("\n\n")[2],
        markdown_table(header, lines),
        f"Hardware: {told('device')}, {told('cores')} cores. Commits: {told('commit')}.",
        "Commands: `python benchmarks/estimators.py tune`, `… train`, `… table`.",
    ]
    (results / "estimators.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    columns = ["estimator", "step_size", "meta_seed", "steps", "before", "after"]
    (results / "estimators.csv").write_text(csv_text(columns, rows), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Tune, train, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["tune", "train", "table"])
    parser.add_argument(
        "--only", nargs="+", default=list(ESTIMATORS), choices=list(ESTIMATORS), metavar="NAME"
    )
    parser.add_argument("--meta_seeds", nargs="+", type=int, default=list(REPORTED), metavar="N")
    parser.add_argument("--store", type=Path, default=RESULTS / "estimators")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "estimators")
    given = parser.parse_args(words)
    given.results.mkdir(parents=True, exist_ok=True)
    use_all_cores()
    use_compilation_cache()
    if given.action == "tune":
        for name in given.only:
            for rate in ESTIMATORS[name][2]:
                for seed in TUNED:
                    made(given.store, given.runs, name, rate, seed)
    elif given.action == "train":
        train(given.store, given.runs, given.only, given.meta_seeds)
    else:
        table(given.store, given.results)


if __name__ == "__main__":
    main()
