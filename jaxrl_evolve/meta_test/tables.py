"""A meta-test as text: Markdown for people, CSV for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.meta.lifetimes import EVALUATED
from jaxrl_evolve.meta_test.comparison import ALL, Comparison, Improvement, Row
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.meta_test.outcome import Outcome
from jaxrl_evolve.results.report.text import csv_text, markdown_table, with_bounds
from jaxrl_evolve.results.statistics import caution


def markdown(
    config: MetaTestConfig, comparison: Comparison, outcomes: Mapping[tuple[str, str], Outcome]
) -> str:
    """The table of a meta-test."""
    parts = [
        "# Meta-test",
        f"Whole lives of {config.seeds} agents per objective and horizon; all arms have the same tasks and random "
        f"numbers. A score is the mean return of {config.episodes} episodes of the finished agent, which samples its "
        "policy. Interquartile means over meta-seeds and agent seeds; 95 % intervals resample both "
        f"({config.resamples:,} resamples). Horizons are in updates; * marks those that an objective was not trained "
        "at.",
    ]
    if few := _few(config, comparison):
        parts.append(few)
    for env in dict.fromkeys(row.env for row in comparison.rows):
        parts += [f"## {_title(env, comparison)}", _scores([r for r in comparison.rows if r.env == env])]
    if comparison.improvements:
        parts.append("## Probability of improvement")
        parts.append("On the same task with the same random numbers; ties count half.")
        for env in dict.fromkeys(one.env for one in comparison.improvements):
            own = [one for one in comparison.improvements if one.env == env]
            parts += [f"### {_env(env)}", _improvements(own)]
    if tuned := _tuning(outcomes):
        parts += ["## Tuning", "Chosen on tasks of their own, which are not among the reported ones.", tuned]
    if spent := _budget(outcomes):
        parts += ["## Budget", "Environment steps of all agents of an arm, its tuning among them.", spent]
    if comparison.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in comparison.notes)]
    return "\n\n".join(parts) + "\n"


def _few(config: MetaTestConfig, comparison: Comparison) -> str:
    """What must be said of intervals from few seeds, as a sentence; an arm of one objective has no meta-seeds to differ."""
    meta_seeds = sorted({row.meta_seeds for row in comparison.rows if row.meta_seeds > 1})
    agents = min((row.seeds for row in comparison.rows), default=config.seeds)
    told = [caution(agents, "agent seed"), *(caution(n, "meta-seed") for n in meta_seeds)]
    said = "; ".join(filter(None, told))
    return f"Intervals are rough: {said}." if said else ""


def _env(env: str) -> str:
    return "All environments" if env == ALL else env


def _title(env: str, comparison: Comparison) -> str:
    return _env(env) if env == ALL else f"{env}: {comparison.measures[env]}"


def _scores(rows: Sequence[Row]) -> str:
    horizons = list(dict.fromkeys(row.horizon for row in rows))
    lines = []
    for label in dict.fromkeys(row.label for row in rows):
        own = {row.horizon: row for row in rows if row.label == label}
        first = own[ALL]
        cells = [with_bounds(own[n].score) + ("*" if own[n].beyond else "") for n in horizons]
        lines.append([label, f"{first.meta_seeds} × {first.seeds}", *cells])
    return markdown_table(["Arm", "Seeds", *map(str, horizons)], lines)


def _improvements(improvements: Sequence[Improvement]) -> str:
    scopes = [ALL, *dict.fromkeys(one.horizon for one in improvements if one.horizon != ALL)]
    first = [s for s in scopes if isinstance(s, str)]
    scopes = [*first, *(s for s in scopes if not isinstance(s, str))]
    lines = []
    for x, y in dict.fromkeys((one.x, one.y) for one in improvements):
        own = {one.horizon: one.probability for one in improvements if (one.x, one.y) == (x, y)}
        lines.append([f"{x} over {y}", *(with_bounds(own.get(scope)) for scope in scopes)])
    return markdown_table(["Pair", *map(str, scopes)], lines)


def _tuning(outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    lines = []
    for (env, label), outcome in outcomes.items():
        tuning = outcome.tuning
        if len(tuning.scores) < 2:
            continue
        for index in dict.fromkeys(tuning.chosen.tolist()):
            at = [str(n) for n, i in zip(outcome.horizons, tuning.chosen, strict=True) if i == index]
            where = ALL if len(at) == len(outcome.horizons) else ", ".join(at)
            values = (tuning.learning_rates[index], tuning.entropy_coefs[index])
            lines.append([env, label, where, *(f"{x:g}" for x in values), len(tuning.scores)])
    header = ["Environment", "Arm", "Horizons", "learning_rate", "entropy_coef", "Candidates"]
    return markdown_table(header, lines) if lines else ""


def _budget(outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    known = {pair: outcome.facts for pair, outcome in outcomes.items() if EVALUATED in outcome.facts}
    lines = [
        [*pair, *(f"{facts[name]:,}" for name in ("env_steps", EVALUATED))] for pair, facts in known.items()
    ]
    return markdown_table(["Environment", "Arm", "Learning", "Evaluation"], lines) if lines else ""


def scores_csv(rows: Sequence[Row]) -> str:
    """One line per environment, arm and horizon."""
    header = ["env", "arm", "horizon", "iqm", "low", "high", "life_iqm", "life_low", "life_high"]
    header += ["meta_seeds", "seeds", "diverged", "beyond"]
    lines = [
        [
            *(row.env, row.label, row.horizon, *row.score, *(row.average or (None,) * 3)),
            *(row.meta_seeds, row.seeds, row.diverged, int(row.beyond)),
        ]
        for row in rows
    ]
    return csv_text(header, lines)


def improvements_csv(improvements: Sequence[Improvement]) -> str:
    """One line per environment, pair and horizon."""
    lines = [[one.env, one.x, one.y, one.horizon, *one.probability] for one in improvements]
    return csv_text(["env", "x", "y", "horizon", "probability", "low", "high"], lines)


def tuning_csv(outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    """One line per candidate and horizon: its score on the validation tasks and whether it was chosen."""
    lines: list[list[Any]] = []
    for (env, label), outcome in outcomes.items():
        tuning = outcome.tuning
        for (candidate, h), score in np.ndenumerate(tuning.scores):
            values = (tuning.learning_rates[candidate], tuning.entropy_coefs[candidate])
            chosen = int(tuning.chosen[h] == candidate)
            lines.append([env, label, int(outcome.horizons[h]), *values, score, chosen])
    return csv_text(["env", "arm", "horizon", "learning_rate", "entropy_coef", "score", "chosen"], lines)
