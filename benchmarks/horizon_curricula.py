"""Does an objective generalise further if a curriculum chose the horizons that it was meta-trained at?

    python benchmarks/horizon_curricula.py train [--only NAME ...] [--seeds N ...]
    python benchmarks/horizon_curricula.py test [--only NAME ...] [--seeds N ...]
    python benchmarks/horizon_curricula.py table

``train`` meta-trains TA-LPG on random grid worlds by evolution strategies, once for each way to choose horizons of 10 to 100 updates and each
meta-seed, into ``runs/horizon_curricula/<name>/seed_<N>``; what is interrupted goes on, and one that diverges does not stop the others. ``test`` lets each train agents on new
tasks at horizons within that range and beyond it, with a step size that is tuned for it alone on other tasks, and A2C likewise, and writes a row for each horizon into
``benchmarks/results/horizon_curricula.csv``. ``table`` makes ``horizon_curricula.md`` of these rows and of nothing else. All have the same number of generations and
agents, not of environment steps: that is what choosing short lives saves, and the table tells it. Nothing was tuned for it.

Written down before any run: the **primary outcome** is the mean score at the two horizons beyond the range, less that of log-uniform horizons, in pairs of meta-seeds, with Holm's
correction over the ways. A score is the mean return of finished agents as a fraction of the task's optimum; an agent that diverged has 0, and so has every agent of a
meta-training that did. There is room for an effect only if log-uniform lies below A2C there, or below 0.95; the page says whether it does.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from learning import RESULTS, ROOT

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.meta import MetaTrainConfig, meta_train
from jaxrl_evolve.meta_test import MetaTestConfig, meta_test
from jaxrl_evolve.meta_test.config import TuningConfig
from jaxrl_evolve.meta_test.outcome import Outcome
from jaxrl_evolve.results.hypotheses import contrast, holm
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.storage.folder import write_text
from jaxrl_evolve.training.interrupts import Diverged

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
BEYOND = tuple(horizon for horizon in TESTED if horizon > CHOICES[-1])
CONTROL, PEER = "log-uniform", "a2c"
_FITS = 0.01
"""Tasks whose optimum is less have no return to be had."""
COLUMNS = (
    "way",
    "meta_seed",
    "horizon",
    "score",
    "diverged",
    "meta_env_steps",
    "meta_seconds",
    "commit",
    "device",
    "cores",
    "jax",
    "date",
)

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


def train(ways: Sequence[str], seeds: Sequence[int]) -> None:
    """Every meta-training that is not finished, meta-seed after meta-seed."""
    for seed in seeds:
        for way in ways:
            out = RUNS / way / f"seed_{seed}"
            if not (out / "result.json").exists() and not _lost(out).exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                try:
                    meta_train(configuration(way, seed), out, resume=out.exists(), quiet=False)
                except Diverged as error:
                    write_text(_lost(out), f"{error}\n")
                    print(f"{way} seed {seed}: {error}", flush=True)


def _lost(run: Path) -> Path:
    return run.with_name(f"{run.name}.diverged")


def test(ways: Sequence[str], seeds: Sequence[int], store: Path) -> None:
    """Rows of every finished meta-training, and of the peer, that the store lacks."""
    for way, seed in [(PEER, 0), *((way, seed) for seed in seeds for way in ways)]:
        rows = read(store)
        if any((row["way"], row["meta_seed"]) == (way, str(seed)) for row in rows):
            continue
        run = RUNS / way / f"seed_{seed}"
        if _lost(run).exists():
            rows += [
                {"way": way, "meta_seed": seed, "horizon": horizon, "score": 0.0, "diverged": 1.0}
                for horizon in TESTED
            ]
        elif way == PEER or (run / "result.json").exists():
            rows += rows_of(way, seed, *_tested(way, seed, run))
        else:
            continue
        text = csv_text(COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])
        write_text(store, text)


def _tested(way: str, seed: int, run: Path) -> tuple[Outcome, Mapping[str, Any]]:
    config = MetaTestConfig(
        objectives=() if way == PEER else (f"{way}={run}",),
        envs=(ENV,),
        horizons=TESTED,
        baselines=(PEER,) if way == PEER else (),
        ablations=(),
        num_envs=16,
        rollout_length=20,
        seeds=16,
        tuning=TuningConfig(seeds=8),
    )
    out = RUNS / "test" / way / f"seed_{seed}"
    out.parent.mkdir(parents=True, exist_ok=True)
    result = meta_test(config, out, resume=out.exists(), quiet=False)
    trained = {} if way == PEER else json.loads((run / "result.json").read_text())
    return result.outcomes[ENV, way], trained


def rows_of(way: str, seed: int, outcome: Outcome, trained: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each horizon, of one meta-seed."""
    fits = outcome.optimum >= _FITS
    scores = outcome.returns[0, fits] / outcome.optimum[fits][:, None]
    about = {name: outcome.facts.get(name) for name in ("commit", "device", "cores", "jax")}
    about |= {"meta_env_steps": trained.get("env_steps"), "meta_seconds": trained.get("run_seconds")}
    return [
        {
            "way": way,
            "meta_seed": seed,
            "horizon": int(horizon),
            "score": float(np.where(np.isfinite(scores[:, i]), scores[:, i], 0.0).mean()),
            "diverged": float((~np.isfinite(scores[:, i])).mean()),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            **about,
        }
        for i, horizon in enumerate(outcome.horizons)
    ]


def read(store: Path) -> list[dict[str, Any]]:
    """The rows that are there."""
    if not store.exists():
        return []
    with store.open(newline="") as file:
        return list(csv.DictReader(file))


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The page."""
    score = {(row["way"], str(row["meta_seed"]), int(row["horizon"])): float(row["score"]) for row in rows}
    ways = [way for way in (*WAYS, PEER) if any(way == row["way"] for row in rows)]
    seeds = {way: sorted({seed for name, seed, _ in score if name == way}, key=int) for way in ways}
    beyond = {
        way: {seed: float(np.mean([score[way, seed, h] for h in BEYOND])) for seed in seeds[way]}
        for way in ways
    }
    parts = [
        "# Curricula over the horizons of meta-training",
        "What was trained and tested, and what was written down before, stands at the head of `benchmarks/horizon_curricula.py`. Means over meta-seeds, with Student's 95 % interval.",
        markdown_table(
            ["Horizons by", "Meta-seeds", *(f"{horizon} updates" for horizon in TESTED)],
            [
                [way, len(seeds[way]), *(_mean([score[way, seed, h] for seed in seeds[way]]) for h in TESTED)]
                for way in ways
            ],
        ),
        _room(beyond),
        *_primary(beyond),
    ]
    spent = [
        [
            way,
            *(
                f"{np.mean([float(row[name]) for row in rows if row['way'] == way and row[name]]) / scale:,.1f}"
                for name, scale in (("meta_env_steps", 1e6), ("meta_seconds", 60))
            ),
        ]
        for way in ways
        if any(row["way"] == way and row["meta_env_steps"] for row in rows)
    ]
    told = lambda *names: "; ".join(
        dict.fromkeys(" ".join(f"{name} {row[name]}" for name in names) for row in rows if row["commit"])
    )
    parts += [
        markdown_table(["Horizons by", "Million environment steps of a meta-training", "Minutes"], spent),
        f"Made by {told('commit')}; {told('device', 'cores', 'jax')}; {told('date')}. Command: `python benchmarks/horizon_curricula.py test`, after `… train`.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _mean(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{np.mean(values):.3f}"
    found = contrast([values], (1,))
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _room(beyond: Mapping[str, Mapping[str, float]]) -> str:
    if CONTROL not in beyond or PEER not in beyond:
        return ""
    ours, peer = (float(np.mean(list(beyond[way].values()))) for way in (CONTROL, PEER))
    there = (
        "there is room for an effect"
        if ours < max(peer, 0.95)
        else "there is no room for an effect, and nothing below can show one"
    )
    return f"Beyond the range {CONTROL} has {ours:.3f} and {PEER} {peer:.3f}: {there}."


def _primary(beyond: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The primary outcome."""
    control, found = beyond.get(CONTROL, {}), {}
    for way, own in beyond.items():
        pairs = [own[seed] - control[seed] for seed in own if seed in control]
        if way not in (CONTROL, PEER) and len(pairs) >= 2:
            found[way] = (len(pairs), contrast([pairs], (1,)))
    if not found:
        return []
    two_sided = [min(1.0, 2 * min(test.above, test.below)) for _, test in found.values()]
    lines = [
        [way, pairs, f"{test.value:+.3f} [{test.low:+.3f}, {test.high:+.3f}]", f"{p:.3g}", f"{held:.3g}"]
        for (way, (pairs, test)), p, held in zip(found.items(), two_sided, holm(two_sided), strict=True)
    ]
    return [
        f"The primary outcome: the mean score at {' and '.join(map(str, BEYOND))} updates less that of {CONTROL}, in pairs of meta-seeds, with Student's 95 % interval; p-values are two-sided, and corrected for all lines by Holm's method.",
        markdown_table(["Horizons by", "Pairs", "Difference", "p", "p, Holm"], lines),
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Train, test or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["train", "test", "table"])
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    store = given.results / "horizon_curricula.csv"
    if given.action == "train":
        use_all_cores()
        train(given.only, given.seeds)
        return
    if given.action == "test":
        use_all_cores()
        test(given.only, given.seeds, store)
    if rows := read(store):
        write_text(given.results / "horizon_curricula.md", markdown(rows))


if __name__ == "__main__":
    main()
