"""What a level is worth: formulas over what came of a visit, and what is known from earlier ones.

A score that is no finite number is none: no episode ended, or there were too few.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.contract import Env
from jaxrl_evolve.curricula.arms.estimator import Posterior
from jaxrl_evolve.curricula.levels.options import LevelOptions
from jaxrl_evolve.curricula.levels.visits import Known, Visit
from jaxrl_evolve.curricula.signals import rloo
from jaxrl_evolve.settings.names import suggestion


class Seen(NamedTuple):
    """What a score reads of ``n`` levels.

    Attributes:
        visit: what came of the rollout.
        known: what is known with it.
        levels: leaves ``[n, ...]``.
        optimum: ``levels -> float32 [n]``, their highest returns.
        options: of the curriculum.
    """

    visit: Visit
    known: Known
    levels: Any
    optimum: Callable[[Any], Array] | None
    options: LevelOptions


class Score(NamedTuple):
    """A formula.

    Attributes:
        formula: as text.
        source: where it is from.
        value: ``Seen -> float32 [n]``.
        critic: whether it reads what a critic says.
        success: whether it reads successes.
        influence: whether it reads the parameter change that levels cause.
        optimum: whether it reads the highest returns.
        episodes: of a level that it needs.
    """

    formula: str
    source: str
    value: Callable[[Seen], Array]
    critic: bool = False
    success: bool = False
    influence: bool = False
    optimum: bool = False
    episodes: int = 1


def _per_step(column: str) -> Callable[[Seen], Array]:
    return lambda seen: getattr(seen.visit, column) / seen.visit.scored


def _max_mc(seen: Seen) -> Array:
    best = seen.known.best if seen.options.best == "lifetime" else seen.visit.best
    return best - seen.visit.value / seen.visit.scored


def learnability(episodes: Float[Array, ...], successes: Float[Array, ...]) -> Float[Array, ...]:
    """``p (1 - p) n / (n - 1)``, unbiased for the variance of one episode's success; infinite below two episodes."""
    enough = episodes > 1.5  # counts that have decayed are no whole numbers
    n = jnp.where(enough, episodes, 2.0)
    return jnp.where(enough, 0.5 * rloo(successes / n, n), jnp.inf)


def _posterior(seen: Seen) -> Array:
    known, prior = seen.known, seen.options.prior
    believed = Posterior(known.successes + prior, known.episodes - known.successes + prior)
    return jnp.where(known.episodes > 0, believed.learnability, jnp.inf)


def _regret(seen: Seen) -> Array:
    assert seen.optimum is not None
    return seen.optimum(seen.levels) - seen.visit.returns / seen.visit.episodes


SCORES: dict[str, Score] = {
    "value-l1": Score("mean |A|", "PLR, arXiv 2010.03934", _per_step("absolute"), critic=True),
    "pvl": Score(
        "mean max(A, 0), the positive value loss",
        "robust PLR, arXiv 2110.02439",
        _per_step("positive"),
        critic=True,
    ),
    "max-mc": Score(
        "mean (R_max - V), R_max the level's highest return",
        "robust PLR, arXiv 2110.02439",
        _max_mc,
        critic=True,
    ),
    "td": Score("mean |r + gamma V' - V|", "PLR, arXiv 2010.03934", _per_step("td"), critic=True),
    "learnability": Score(
        "p (1 - p) n / (n - 1), of n episodes",
        "SFL, arXiv 2408.15099, made unbiased",
        lambda seen: learnability(seen.known.episodes, seen.known.successes),
        success=True,
        episodes=2,
    ),
    "posterior-learnability": Score(
        "E[p (1 - p)] under Beta(successes + prior, failures + prior)",
        "SFL, arXiv 2408.15099, with its posterior",
        _posterior,
        success=True,
    ),
    "mna": Score(
        "mean max(-A, 0) if the level was ever solved, else 0",
        "arXiv 2601.14957, which adds up over a rollout: the same order where all are as long and each level has one",
        lambda seen: seen.visit.negative / seen.visit.scored * seen.known.solved,
        critic=True,
        success=True,
    ),
    "true-regret": Score(
        "optimal return less mean return", "none: the environment must know it", _regret, optimum=True
    ),
    "pace": Score(
        "squared norm of the policy's gradient on the level",
        "PACE, arXiv 2605.01358",
        lambda seen: seen.visit.influence,
        influence=True,
    ),
}
"""Scores by name."""


def find_score(name: str, curriculum: str, env: Env, success: bool) -> Score:
    """The score called ``name``, if the environment says what it reads.

    Args:
        name: of the score.
        curriculum: that asks, for messages.
        env: whose levels are scored.
        success: whether it is known what a success is.

    Raises:
        ValueError: none is called so, with near matches; or it reads what the environment does not say.
    """
    if name not in SCORES:
        raise ValueError(f"score is {name!r}, which is not known: {suggestion(str(name), SCORES)}")
    score = SCORES[name]
    if score.success and not success:
        raise ValueError(
            f"{curriculum} scores levels by {name!r}, which reads successes, but {env.name} does not say what a success "
            "is: give the option `threshold`, a return, or another score"
        )
    if score.optimum and env.optimal_return is None:
        raise ValueError(
            f"{curriculum} scores levels by {name!r}, but {env.name} has no `optimal_return`; it must be one that has, "
            "such as grid/random-small or maze/random, or the score another"
        )
    return score


def optimum_of(env: Env) -> Callable[[Any], Array] | None:
    """``levels -> float32 [n]``, or None."""
    return None if env.optimal_return is None else jax.vmap(env.optimal_return)
