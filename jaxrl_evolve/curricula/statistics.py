"""What came of a rollout, added up by the numbers of its tasks: every sum that a score needs in one pass.

Columns are facts of steps, float32 ``[T, N]``, all of them finite; sums are by task, float32 ``[count]``. An episode belongs
to the task of its last step, and is left out if its return or its success is no finite number, or if it does not count (`Lived.counted`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.contract import Env, own_end
from jaxrl_evolve.runs.lived import Lived

Success = Callable[[Lived], Array]
"""``lived -> float32 [T, N]``: whether the episode that ends with a step is a success, from 0 to 1; NaN is neither."""

SUCCESS = "success"
"""The metric by which an environment says it (`Env.metrics`)."""

_DENSE = 64  # up to so many tasks one product of matrices is faster than adding step by step


def success_rule(env: Env, threshold: Any = None) -> Success | None:
    """What a successful episode is: a return of at least the threshold, else what the environment says; None if it says nothing.

    Args:
        env: the environment.
        threshold: a number, or one for each task, float32 ``[count]``.
    """
    if threshold is not None:
        least = jnp.asarray(threshold, jnp.float32)

        def reached(lived: Lived) -> Array:
            returns, number = lived.played.episode_return, lived.played.trajectory.task
            assert returns is not None
            limit = least if least.ndim == 0 else least[jnp.clip(number, 0, least.shape[0] - 1)]
            return jnp.where(jnp.isfinite(returns), (returns >= limit).astype(jnp.float32), jnp.nan)

        return reached
    if SUCCESS in env.metrics:
        return lambda lived: lived.played.trajectory.info[SUCCESS].astype(jnp.float32)
    return None


def ends(lived: Lived, success: Success | None = None, every: bool = False) -> Bool[Array, "T N"]:
    """Where episodes end that count.

    Args:
        lived: a rollout on tasks.
        success: what a success is, if that is asked.
        every: whether those count, too, that would not have ended in the rollout if they had taken longer (`Lived.counted`). For a highest
            return they may, for a mean they are the wrong choice of all.
    """
    returns = lived.played.episode_return
    assert returns is not None
    fine = jnp.isfinite(returns)
    if success is not None:
        fine &= jnp.isfinite(success(lived))
    if lived.counted is not None and not every:
        fine &= lived.counted
    return own_end(lived.played.trajectory) & fine


CRITIC = ("scored", "absolute", "positive", "negative", "td", "squared_td", "value")
"""Columns of what the critic says: steps that it scored, and of these |A|, max(A, 0), max(-A, 0), the absolute and the squared TD
error, and the value."""


def columns(
    lived: Lived, names: Sequence[str], success: Success | None = None
) -> dict[str, Float[Array, "T N"]]:
    """Facts of steps by name; what is not asked for is not computed.

    Args:
        lived: a rollout on tasks.
        names: of `CRITIC`, or ``steps``; at ends of episodes ``episodes``, ``returns``, ``lengths``, ``successes``.
        success: what a success is; needed for ``successes``.
    """
    over = ends(lived, success)
    made: dict[str, Array] = {}
    for name in names:
        if name == "steps":
            made[name] = jnp.ones(over.shape, jnp.float32)
        elif name not in CRITIC:
            made[name] = jnp.where(over, _of_episode(lived, name, success), 0.0)
    if any(name in CRITIC for name in names):
        made |= {name: x for name, x in _of_critic(lived).items() if name in names}
    return made


def _of_episode(lived: Lived, name: str, success: Success | None) -> Array:
    played = lived.played
    assert played.episode_return is not None and played.episode_length is not None
    if name == "episodes":
        return jnp.ones_like(played.episode_return)
    if name == "returns":
        return played.episode_return
    if name == "lengths":
        return played.episode_length.astype(jnp.float32)
    if name == "successes":
        assert success is not None
        return jnp.clip(success(lived), 0.0, 1.0)
    raise KeyError(name)


def _of_critic(lived: Lived) -> dict[str, Array]:
    assert lived.critic is not None
    said = lived.critic()
    told = (said.advantage, said.td_error, said.value)
    fine = jnp.isfinite(jnp.stack(told)).all(0)
    advantage, error, value = (jnp.where(fine, x, 0.0) for x in told)
    return {
        "scored": fine.astype(jnp.float32),
        "absolute": jnp.abs(advantage),
        "positive": jnp.maximum(advantage, 0.0),
        "negative": jnp.maximum(-advantage, 0.0),
        "td": jnp.abs(error),
        "squared_td": jnp.square(error),
        "value": value,
    }


def by_number(
    facts: dict[str, Float[Array, "T N"]], number: Int[Array, "T N"], count: int
) -> dict[str, Float[Array, " count"]]:
    """Sums of columns by the tasks' numbers; steps of other numbers than 0 to ``count - 1`` fall away."""
    steps = jnp.stack([x.reshape(-1) for x in facts.values()], 1)
    number = number.reshape(-1)
    if count <= _DENSE:
        member = (number[None] == jnp.arange(count, dtype=number.dtype)[:, None]).astype(jnp.float32)
        sums = jnp.matmul(member, steps, precision=jax.lax.Precision.HIGHEST)
    else:
        at = jnp.where(number < 0, count, number)  # a negative index would count from the end
        sums = jnp.zeros((count, len(facts)), jnp.float32).at[at].add(steps, mode="drop")
    return dict(zip(facts, sums.T, strict=True))


def by_slot(facts: dict[str, Float[Array, "T N"]]) -> dict[str, Float[Array, " N"]]:
    """Sums of columns by slot: by task, where every slot begins one with the rollout."""
    return {name: x.sum(0) for name, x in facts.items()}


def extremes(
    lived: Lived, number: Int[Array, "T N"], count: int
) -> tuple[Float[Array, " count"], Float[Array, " count"]]:
    """The highest and the lowest return of the episodes that ended, by task; minus and plus infinity where none did."""
    returns = lived.played.episode_return
    assert returns is not None
    return extremes_of(returns, ends(lived), number, count)


def extremes_of(
    values: Float[Array, "T N"], counted: Bool[Array, "T N"], number: Int[Array, "T N"], count: int
) -> tuple[Float[Array, " count"], Float[Array, " count"]]:
    """The highest and the lowest of the values that count, by the tasks' numbers; minus and plus infinity where none does."""
    at = jnp.where(counted & (number >= 0), number, count).reshape(-1)
    nothing = jnp.full((count,), jnp.inf, jnp.float32)
    flat = values.reshape(-1)
    return (-nothing).at[at].max(flat, mode="drop"), nothing.at[at].min(flat, mode="drop")
