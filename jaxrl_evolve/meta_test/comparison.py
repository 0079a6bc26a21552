"""Statistics of a meta-test: what each arm reaches at each horizon, and which arm beats which.

Meta-seeds and agent seeds are resampled on two levels (`meta_seeds.two_level_estimate`); agent seeds are the same
tasks for all arms, so arms are compared and resampled jointly (`meta_seeds.paired_improvement`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.meta_test.arms import Arm
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.meta_test.outcome import Outcome
from jaxrl_evolve.meta_test.tasks import Normaliser
from jaxrl_evolve.results import meta_seeds
from jaxrl_evolve.results.statistics import Estimate

ALL = "all"
"""Every environment, or every horizon, together."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One arm at one horizon.

    Attributes:
        env: environment, or `ALL`.
        label: of the arm.
        horizon: in updates, or `ALL`.
        score: IQM of the finished agents' scores.
        average: IQM of the mean scores over whole lives, None where some life ended no episode.
        meta_seeds: how many there are.
        seeds: how many agent seeds there are, as far as they count.
        diverged: lives that did.
        beyond: whether the objective was not trained at this horizon.
    """

    env: str
    label: str
    horizon: int | str
    score: Estimate
    average: Estimate | None
    meta_seeds: int
    seeds: int
    diverged: int
    beyond: bool


@dataclasses.dataclass(frozen=True)
class Improvement:
    """How often one arm beats another on the same task.

    Attributes:
        env: environment, or `ALL`.
        x: label of the one arm.
        y: label of the other.
        horizon: in updates; `ALL`; or ``trained`` and ``beyond``, horizons that ``x`` was and was not trained at.
        probability: of ``x`` beating ``y``.
    """

    env: str
    x: str
    y: str
    horizon: int | str
    probability: Estimate


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All statistics.

    Attributes:
        rows: what arms reach.
        improvements: which beats which.
        measures: what a score is, by environment.
        notes: what a reader must know.
    """

    rows: tuple[Row, ...]
    improvements: tuple[Improvement, ...]
    measures: dict[str, str]
    notes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of all arms in an environment.

    Attributes:
        env: its name, or `ALL`.
        returns: raw returns of the agent seeds that count, by label, ``[M, S, H]``; they decide who wins.
        scores: normalised, diverged lives as the worst of all arms at that horizon, likewise; empty where returns
            of several environments cannot be pooled.
        averages: mean scores over whole lives, likewise.
    """

    env: str
    returns: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    averages: dict[str, np.ndarray]


def compare(
    config: MetaTestConfig,
    arms: Sequence[Arm],
    normalisers: Mapping[str, Normaliser],
    outcomes: Mapping[tuple[str, str], Outcome],
    is_beyond: Callable[[Arm, str, int], bool],
) -> Comparison:
    """Every statistic.

    Args:
        config: of the meta-test.
        arms: all of them.
        normalisers: by environment.
        outcomes: by environment and label.
        is_beyond: ``(arm, environment, horizon)``, whether it was not trained there.
    """
    optima = {env: outcomes[env, arms[0].label].optimum for env in config.envs}
    measures = {env: normalisers[env].describe(optima[env]) for env in config.envs}
    scored = [_scores(env, arms, normalisers[env], outcomes, optima[env]) for env in config.envs]
    everywhere = np.logical_and.reduce([normalisers[env].kept(optima[env]) for env in config.envs])
    if len(scored) > 1 and everywhere.any():  # else no agent seed can be counted in all of them
        scored.append(_pooled(config, arms, normalisers, outcomes, optima, measures))
    rows: list[Row] = []
    improvements: list[Improvement] = []
    for one in scored:
        # Of several environments together the first one's sizes say what is beyond.
        env = config.envs[0] if one.env == ALL else one.env
        outside = {
            arm.label: np.array([is_beyond(arm, env, n) for n in config.lengths] * _repeats(one, config))
            for arm in arms
        }
        rows += [row for arm in arms for row in _rows(config, arm, one, outside[arm.label])]
        improvements += [
            improvement
            for x, y in _pairs(arms)
            for improvement in _improvements(config, x, y, one, outside[x.label])
        ]
    notes = _notes(config, arms, normalisers, outcomes, optima)
    return Comparison(tuple(rows), tuple(improvements), measures, tuple(notes))


def _repeats(one: Scores, config: MetaTestConfig) -> int:
    return next(iter(one.returns.values())).shape[-1] // len(config.lengths)


def _scores(
    env: str,
    arms: Sequence[Arm],
    normaliser: Normaliser,
    outcomes: Mapping[tuple[str, str], Outcome],
    optimum: np.ndarray,
) -> Scores:
    kept = normaliser.kept(optimum)
    own = {arm.label: outcomes[env, arm.label] for arm in arms}
    scores = {label: normaliser(outcome.returns, optimum) for label, outcome in own.items()}
    worst = np.min([np.where(np.isfinite(x), x, np.inf).min((0, 1)) for x in scores.values()], axis=0)
    worst = np.where(np.isfinite(worst), worst, 0.0)
    return Scores(
        env,
        {label: outcome.returns[:, kept].astype(np.float64) for label, outcome in own.items()},
        {label: np.where(np.isfinite(x), x, worst) for label, x in scores.items()},
        {label: normaliser(outcome.averages, optimum) for label, outcome in own.items()},
    )


def _pooled(
    config: MetaTestConfig,
    arms: Sequence[Arm],
    normalisers: Mapping[str, Normaliser],
    outcomes: Mapping[tuple[str, str], Outcome],
    optima: Mapping[str, np.ndarray],
    measures: Mapping[str, str],
) -> Scores:
    """All environments side by side as more tasks, with the agent seeds that count in each of them."""
    kept = np.logical_and.reduce([normalisers[env].kept(optima[env]) for env in config.envs])
    each = []
    for env in config.envs:
        cut = {
            (env, arm.label): dataclasses.replace(
                outcomes[env, arm.label],
                returns=outcomes[env, arm.label].returns[:, kept],
                averages=outcomes[env, arm.label].averages[:, kept],
            )
            for arm in arms
        }
        each.append(_scores(env, arms, normalisers[env], cut, optima[env][kept]))
    join = lambda field: {
        arm.label: np.concatenate([getattr(one, field)[arm.label] for one in each], axis=-1) for arm in arms
    }
    comparable = "return" not in measures.values()
    return Scores(
        ALL, join("returns"), join("scores") if comparable else {}, join("averages") if comparable else {}
    )


def _rows(config: MetaTestConfig, arm: Arm, one: Scores, outside: np.ndarray) -> list[Row]:
    if arm.label not in one.scores:
        return []
    scores, averages = one.scores[arm.label], one.averages[arm.label]
    options: dict[str, Any] = {"resamples": config.resamples}
    at = np.array(list(config.lengths) * _repeats(one, config))
    rows = []
    for horizon in (*config.lengths, ALL):
        here = np.ones(len(at), bool) if horizon == ALL else at == horizon
        along = averages[..., here]
        rows.append(
            Row(
                one.env,
                arm.label,
                horizon,
                meta_seeds.two_level_estimate(scores[..., here], **options),
                meta_seeds.two_level_estimate(along, **options) if np.isfinite(along).all() else None,
                *scores.shape[:2],
                diverged=int(np.isnan(one.returns[arm.label][..., here]).sum()),
                beyond=horizon != ALL and bool(outside[here].any()),
            )
        )
    return rows


def _pairs(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Learned objectives over their time-blind twins, over themselves with wrong clocks, and over baselines."""
    return [
        (x, y)
        for x in arms
        if x.learned
        for y in arms
        if y.parent == x.label
        or (x.reads_time and y.learned and not y.reads_time and y.kind == x.kind)
        or y.objective is None
    ]


def _improvements(
    config: MetaTestConfig, x: Arm, y: Arm, one: Scores, outside: np.ndarray
) -> list[Improvement]:
    at = np.array(list(config.lengths) * _repeats(one, config))
    scopes: dict[int | str, np.ndarray] = {ALL: np.ones(len(at), bool)}
    if outside.any() and not outside.all():
        scopes |= {"trained": ~outside, "beyond": outside}
    scopes |= {n: at == n for n in config.lengths}
    return [
        Improvement(
            one.env,
            x.label,
            y.label,
            scope,
            meta_seeds.paired_improvement(
                one.returns[x.label][..., here],
                one.returns[y.label][..., here],
                same_meta_seeds=y.parent == x.label,
                resamples=config.resamples,
                non_finite="worst",
            ),
        )
        for scope, here in scopes.items()
    ]


def _notes(
    config: MetaTestConfig,
    arms: Sequence[Arm],
    normalisers: Mapping[str, Normaliser],
    outcomes: Mapping[tuple[str, str], Outcome],
    optima: Mapping[str, np.ndarray],
) -> list[str]:
    notes = []
    for env in config.envs:
        out = int((~normalisers[env].kept(optima[env])).sum())
        if out:
            notes.append(
                f"{out} of {config.seeds} levels of {env} are left out: their optimal return is next to nothing."
            )
        for arm in arms:
            outcome = outcomes[env, arm.label]
            diverged = int(np.isnan(outcome.returns).sum())
            if diverged:
                notes.append(
                    f"{arm.label} on {env}: {diverged} of {outcome.returns.size} agents diverged; each counts as the "
                    "worst of all arms at its horizon."
                )
            if outcome.tuning.at_the_edge:
                notes.append(
                    f"{arm.label} on {env}: a chosen step size is the smallest or largest candidate, so others may "
                    "do better."
                )
    single = [arm.label for arm in arms if arm.learned and arm.meta_seeds == 1]
    if single:
        notes.append(
            f"{', '.join(single)}: one meta-seed, so the interval is over agent seeds alone and says nothing of "
            "another meta-training."
        )
    return notes
