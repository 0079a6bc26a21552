"""What all arms are tested on: the same levels with the same random numbers, and the scale of their returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_evolve import random
from jaxrl_evolve.meta.experiment import tasks
from jaxrl_evolve.results.scores import scale_of, task_name

OPTIMUM_FLOOR = 0.01
"""Levels whose optimal return is below this are left out: a quotient by next to nothing says nothing."""

_LEVELS, _LIVES = 1, 2


@dataclasses.dataclass(frozen=True)
class Tasks:
    """One task per agent seed.

    Attributes:
        params: of the environment, leaves ``[S, ...]``.
        optimum: best expected return of each, float64 ``[S]``; NaN where it is not known.
        root: key of the lives.
    """

    params: Any
    optimum: np.ndarray
    root: jax.Array

    def keys(self, horizon: int) -> jax.Array:
        """Keys of the agent seeds' lives ``[S]``: of their number and the horizon, whatever else is tested."""
        at = lambda i: jax.random.fold_in(jax.random.fold_in(self.root, i), horizon)
        return jax.vmap(at)(np.arange(len(self.optimum), dtype=np.uint32))


def draw_tasks(env: Env, seed: int, count: int, use: Literal["reported", "validation"]) -> Tasks:
    """The tasks of all arms.

    Args:
        env: one environment, or a family of levels.
        seed: root of all randomness.
        count: how many.
        use: reported and validation tasks have nothing in common.
    """
    tags = random.KeyTag
    tag = tags.REPORTED_TASKS if use == "reported" else tags.VALIDATION_TASKS
    root = jax.random.fold_in(random.key(seed), tag)
    levels, lives = jax.random.fold_in(root, _LEVELS), jax.random.fold_in(root, _LIVES)
    keys = jax.vmap(lambda i: jax.random.fold_in(levels, i))(np.arange(count, dtype=np.uint32))
    params = jax.jit(lambda keys: tasks(env, keys))(keys)
    best = np.full(count, np.nan)
    if env.optimal_return is not None:
        if env.sample_params is None:
            best[:] = jax.jit(env.optimal_return)(env.params)
        else:
            best = np.asarray(jax.jit(lambda p: jax.lax.map(env.optimal_return, p))(params), np.float64)
    return Tasks(params, best, lives)


@dataclasses.dataclass(frozen=True)
class Normaliser:
    """What makes a score of a return.

    Attributes:
        kind: as in `MetaTestConfig.normaliser`.
        env: name of the environment.
        options: that it was made with.
    """

    kind: Literal["auto", "scale", "none"]
    env: str
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.kind == "scale" and scale_of(self.env, **self.options) is None:
            raise ValueError(
                f"normaliser is 'scale', but {task_name(self.env, **self.options)} has no scale; it must be auto or none"
            )

    def kept(self, optimum: np.ndarray) -> np.ndarray:
        """Which agent seeds count, bool ``[S]``."""
        return optimum >= OPTIMUM_FLOOR if self._divides(optimum) else np.ones(len(optimum), bool)

    def _divides(self, optimum: np.ndarray) -> bool:
        """Whether scores are fractions of the optimum: not where it is unknown, nor where there is nothing to be won anywhere."""
        return self.kind == "auto" and not np.isnan(optimum).any() and bool((optimum >= OPTIMUM_FLOOR).any())

    def __call__(self, returns: np.ndarray, optimum: np.ndarray) -> np.ndarray:
        """Scores of the agent seeds that count, float64 ``[M, kept, H]``.

        Args:
            returns: ``[M, S, H]``.
            optimum: ``[S]``.
        """
        kept = self.kept(optimum)
        scores = np.asarray(returns, np.float64)[:, kept]
        if self.kind == "scale":
            scale = scale_of(self.env, **self.options)
            assert scale is not None
            return scale(scores)
        if self._divides(optimum):
            return scores / optimum[kept][None, :, None]
        return scores

    def describe(self, optimum: np.ndarray) -> str:
        """What a score is."""
        if self.kind == "scale":
            return "normalised return"
        return "return / optimum" if self._divides(optimum) else "return"
