"""Tables of `horizon_study.py`, from its store and nothing else."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from horizon_studies import Study

from jaxrl_evolve.meta_test.outcome import Outcome, load
from jaxrl_evolve.results import meta_seeds, statistics
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds

CLOCKS = ("frozen", "shuffled", "wrong x4", "wrong x0.25")
TUNED = ("once", "per-horizon")
"""How step sizes of the test are chosen, one after the other."""
_OPTIMUM_FLOOR = 0.01


class Pair(NamedTuple):
    """P(x > y) at a horizon, or over ``"all"``."""

    x: str
    y: str
    horizon: str
    probability: statistics.Estimate


def outcomes_of(study: Study, store: Path, tuned: str) -> dict[str, Outcome]:
    """Outcomes by arm, those of baselines by the names of tables; levels without a return to be had are left out."""
    shown = {name: shown for shown, name in study.baselines.items()}
    names = [*study.arms, *(f"{arm} {clock}" for arm in study.arms for clock in CLOCKS)]
    found = {}
    for name in [*names, *study.untrained, *shown]:
        path = store / f"test-{tuned}" / f"{name.replace(' ', '-')}.npz"
        if path.exists() and shown.get(name, name) not in found:
            found[shown.get(name, name)] = _scored(load(path))
    return found


def _scored(outcome: Outcome) -> Outcome:
    """Returns as fractions of the optimum where that is known."""
    if not np.isfinite(outcome.optimum).all():
        return outcome
    fits = outcome.optimum >= _OPTIMUM_FLOOR
    returns = outcome.returns[:, fits] / outcome.optimum[fits][None, :, None]
    return Outcome(
        returns.astype(np.float32), *(outcome.averages[:, fits], {}, outcome.optimum[fits], outcome.horizons),
        outcome.tuning, outcome.facts,
    )  # fmt: skip


def compared(study: Study, outcomes: Mapping[str, Outcome]) -> list[tuple[str, str, bool]]:
    """Pairs of arms, and whether their meta-seeds are paired; the primary one first."""
    arms = list(study.arms)
    twins = [
        (x, y, True)
        for x in arms
        for y in arms
        if x != y and (x, y) != study.primary and x.startswith("ta-") and x.removeprefix("ta-") == y
    ]
    pairs = [(*study.primary, True), *twins]
    pairs += [(arm, f"{arm} {clock}", True) for arm in arms for clock in CLOCKS]
    pairs += [(arm, other, False) for arm in arms for other in (*study.untrained, *study.baselines)]
    return [pair for pair in pairs if pair[0] in outcomes and pair[1] in outcomes]


def improvements(study: Study, outcomes: Mapping[str, Outcome]) -> list[Pair]:
    """P(x > y) of all pairs, over all horizons and at each."""
    found = []
    for x, y, paired in compared(study, outcomes):
        a, b = outcomes[x].returns, outcomes[y].returns
        if paired:  # of meta-seeds that only one side has nothing can be said
            count = min(len(a), len(b))
            a, b = a[:count], b[:count]
        scopes = {str(n): slice(i, i + 1) for i, n in enumerate(outcomes[x].horizons)}
        for scope, here in {"all": slice(None), **scopes}.items():
            estimate = meta_seeds.paired_improvement(
                a[..., here], b[..., here], same_meta_seeds=paired, non_finite="worst"
            )
            found.append(Pair(x, y, scope, estimate))
    return found


def write_tables(study: Study, name: str, env: str, store: Path, results: Path) -> None:
    """``horizon_<name>-<env>.md`` and ``.csv``."""
    parts, rows = [f"# Horizons, study {name}: {env}"], []
    cells = {arm: sorted((store / arm).glob("seed_*/result.json")) for arm in study.arms}
    tests: list[Outcome] = []
    for tuned in TUNED:
        if not (outcomes := outcomes_of(study, store, tuned)):
            continue
        tests += outcomes.values()
        found = improvements(study, outcomes)
        if tuned == "once" and found and found[0][:2] == study.primary:
            x, y = study.primary
            parts.append(f"**Primary outcome**, P({x} > {y}): {with_bounds(found[0].probability)}.")
        parts += [f"## Step sizes tuned {tuned.replace('-', ' ')}", _scores(outcomes), _pairs(found)]
        rows += [[env, tuned, *pair[:3], *pair.probability] for pair in found]
    parts += ["## Meta-training", _curves(cells), _spent(study, name, env, cells, tests)]
    header = ["env", "tuned", "x", "y", "horizon", "probability", "low", "high"]
    (results / f"horizon_{store.name}.csv").write_text(csv_text(header, rows), encoding="utf-8")
    (results / f"horizon_{store.name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _scores(outcomes: Mapping[str, Outcome]) -> str:
    lines = []
    for arm, outcome in outcomes.items():
        worst = np.nanmin(outcome.returns)
        scores = np.where(np.isfinite(outcome.returns), outcome.returns, worst)
        rates = outcome.tuning.learning_rates[outcome.tuning.chosen]
        estimates = [meta_seeds.two_level_estimate(scores[..., h : h + 1]) for h in range(scores.shape[-1])]
        told = ", ".join(f"{rate:g}" for rate in dict.fromkeys(rates))
        lines.append([arm, f"{scores.shape[0]} x {scores.shape[1]}", *map(with_bounds, estimates), told])
    first = next(iter(outcomes.values()))
    what = "Return / optimum" if np.isfinite(first.optimum).all() else "Return"
    header = [f"{what}, IQM [95 %]", "Seeds", *map(str, first.horizons), "Step sizes"]
    return markdown_table(header, lines)


def _pairs(found: Sequence[Pair]) -> str:
    scopes = list(dict.fromkeys(pair.horizon for pair in found))
    by = {pair[:3]: pair.probability for pair in found}
    lines = [
        [f"{x} over {y}", *(with_bounds(by[x, y, scope]) for scope in scopes)]
        for x, y in dict.fromkeys(pair[:2] for pair in found)
    ]
    return markdown_table(["Probability of improvement", *scopes], lines)


def _curves(cells: Mapping[str, Sequence[Path]]) -> str:
    """Mean held-out fitness of each arm at fractions of its meta-training, from generation 0 on."""
    lines, marks = [], (0.0, 0.25, 0.5, 0.75, 1.0)
    for arm, paths in cells.items():
        curves = []
        for path in paths:
            text = gzip.decompress((path.parent / "metrics.jsonl.gz").read_bytes()).splitlines()
            tested = {row["generation"]: row for row in map(json.loads, text) if "test_fitness" in row}
            near = [min(tested, key=lambda g, m=mark: abs(g - m * max(tested))) for mark in marks]
            curves.append([np.nanmean(np.array(tested[g]["test_fitness"], float)) for g in near])
        if curves:
            lines.append([arm, len(curves), *(f"{x:.4g}" for x in np.mean(curves, 0))])
    header = ["Held-out fitness after", "Meta-seeds", *(f"{mark:.0%}" for mark in marks)]
    return markdown_table(header, lines)


def _spent(
    study: Study, name: str, env: str, cells: Mapping[str, Sequence[Path]], tests: Sequence[Outcome]
) -> str:
    facts = [json.loads(path.read_text()) for paths in cells.values() for path in paths]
    judged = [outcome.facts for outcome in tests if outcome.facts]
    told = lambda of, what: f"{sum(fact.get(what, 0) for fact in of):,.0f}"
    minutes = lambda of: f"{sum(fact['seconds'] for fact in of) / 60:,.0f} minutes"
    there = {path.parent for paths in cells.values() for path in paths}
    wanted = [(arm, seed) for arm in cells for seed in range(study.meta_seeds)]
    missing = [
        f"{arm} {seed}"
        for arm, seed in wanted
        if not any(p.parts[-2:] == (arm, f"seed_{seed}") for p in there)
    ]
    where = sorted({f"{fact['cores']} cores ({fact['device']})" for fact in [*facts, *judged]})
    commits = sorted({str(fact["commit"])[:10] for fact in [*facts, *judged]})
    lines = [
        f"{len(facts)} meta-trainings: {told(facts, 'env_steps')} environment steps of learning, "
        f"{told(facts, 'evaluation_steps')} of evaluation and held-out lives, {minutes(facts)}. Tests with their tuning: "
        f"{told(judged, 'env_steps')}, {told(judged, 'evaluation_steps')}, {minutes(judged)}.",
        f"Hardware: {'; '.join(where)}. Commits: {', '.join(commits)}.",
        *([f"Missing meta-trainings: {', '.join(missing)}."] if missing else []),
        f"Command: `python benchmarks/horizon_study.py {name} train --env {env}`, then `… test` and `… table`.",
    ]
    return "\n\n".join(lines)
