"""Summaries of episodes as they are lived, step by step and over rollouts, whatever their length."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_envs.spaces import Box, Space
from jaxrl_evolve.preferences.criteria import DEFAULT, Criteria, criteria_from_name, effort_of
from jaxrl_evolve.preferences.summary import Summary
from jaxrl_evolve.trajectory import Trajectory

End = Callable[[Any], Array]


def return_effort_length(
    obs: Any, action: Array, reward: Array, next_obs: Any, within: Box | None = None
) -> Float[Array, " 3"]:
    """Three criteria of one step that any task has: its reward, how small its action was, and that it was lived.

    ``within`` are the bounds of actions, see `criteria.effort_of`.
    """
    del obs, next_obs
    return jnp.stack([reward.astype(jnp.float32), effort_of(action, within), jnp.float32(1)])


def first_two(obs: Any) -> Float[Array, " 2"]:
    """The first two numbers of an observation as a place; zeros for what is missing."""
    flat = jnp.concatenate([leaf.astype(jnp.float32).ravel() for leaf in jax.tree.leaves(obs)])
    return jnp.pad(flat[:2], (0, max(0, 2 - flat.shape[0])))


class Watch(NamedTuple):
    """What is seen of an episode; the functions are of one step of one environment, without axes.

    Attributes:
        horizon: steps of an episode that runs its whole length, for `Summary.early` and `Summary.late`.
        criteria: ``(obs, action, reward, next_obs) -> [K]``, summed over the episode.
        end: ``next_obs -> [2]``, of the last step.
        myopia: of `Summary.myopic`.
    """

    horizon: int
    criteria: Criteria = return_effort_length
    end: End = first_two
    myopia: float = 1.0


def watched(action_space: Space, horizon: int, criteria: str = DEFAULT) -> Watch:
    """What is seen unless one has a watch of one's own.

    Args:
        action_space: whose bounds actions have.
        horizon: see `Watch`.
        criteria: by name, see `criteria_from_name`.

    Raises:
        ValueError: criteria are none.
    """
    if criteria != DEFAULT:
        return Watch(horizon, criteria_from_name(criteria, action_space))
    return Watch(horizon, _within(action_space)) if isinstance(action_space, Box) else Watch(horizon)


@lru_cache(maxsize=64)
def _within(space: Box) -> Criteria:
    """The same function for the same space, so that programs made of it are."""
    return partial(return_effort_length, within=space)


def nothing_lived(watch: Watch, trajectory: Trajectory) -> Summary:
    """Summaries ``[N]`` of episodes of no step.

    Args:
        watch: what will be seen.
        trajectory: an example, leaves ``[T, N, ...]``; only its shapes are read.
    """
    t = trajectory
    one = lambda seen: watch.criteria(*jax.tree.map(lambda x: x[0, 0], seen))
    kinds = jax.eval_shape(one, (t.obs, t.action, t.reward, t.next_obs))
    number = t.reward.shape[1]
    zeros = lambda *more: jnp.zeros((number, *more), jnp.float32)
    return Summary(zeros(), zeros(), zeros(), zeros(), zeros(), zeros(*kinds.shape), zeros(2))


def kinds_of(watch: Watch, trajectory: Trajectory) -> int:
    """How many criteria are watched; of the trajectory ``[T, N, ...]`` only shapes are read."""
    return jax.eval_shape(partial(nothing_lived, watch), trajectory).criteria.shape[-1]


def lived(watch: Watch, before: Summary, trajectory: Trajectory) -> tuple[Summary, Summary]:
    """Summaries of the running episodes after every step.

    Args:
        watch: what is seen.
        before: ``[N]``, of the episodes that run when the rollout begins.
        trajectory: leaves ``[T, N, ...]``.

    Returns:
        Those after the last step ``[N]``, and those after each ``[T, N]``; of an episode's last step that is its summary.
    """
    t = trajectory
    over = lambda function: jax.vmap(jax.vmap(function))
    criteria = over(watch.criteria)(t.obs, t.action, t.reward, t.next_obs).astype(jnp.float32)
    end = over(watch.end)(t.next_obs).astype(jnp.float32)

    def step(past: Summary, now: tuple[Array, Array, Array, Array]) -> tuple[Summary, Summary]:
        first, reward, kinds, place = now
        fresh = lambda x: jnp.where(first.reshape(first.shape + (1,) * (x.ndim - 1)), 0.0, x)
        past = jax.tree.map(fresh, past)
        early = past.length < 3 * watch.horizon // 4
        after = Summary(
            total=past.total + reward,
            early=past.early + jnp.where(early, reward, 0.0),
            late=past.late + jnp.where(early, 0.0, reward),
            myopic=watch.myopia * past.myopic + reward,
            length=past.length + 1.0,
            criteria=past.criteria + kinds,
            end=place,
        )
        return after, after

    return jax.lax.scan(step, before, (t.first, t.reward.astype(jnp.float32), criteria, end))
