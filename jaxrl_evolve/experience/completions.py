"""Whole episodes of a rollout, a few of each slot: what is compared, and learned from, as one thing.

Where a policy answers a prompt, an episode is the prompt and its completion. Rollouts that such answers are learned from begin with an episode in
every slot; the first few that also end in it are counted, and whatever comes after them is learned from by nobody.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.contract import ASKED
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class Completions:
    """The first ``E`` whole episodes of each of ``N`` slots.

    Attributes:
        number: int32 ``[T, N]``, to which of its slot a step belongs; ``E`` where it belongs to none.
        asked: bool ``[T, N]``, whether the step belongs to one and the action was the policy's own.
        whole: bool ``[N, E]``, whether there is one.
        total: float32 ``[N, E]``, its return; 0 where there is none.
        length: float32 ``[N, E]``, how many of its actions were the policy's own.
    """

    number: Int[Array, "T N"]
    asked: Bool[Array, "T N"]
    whole: Bool[Array, "N E"]
    total: Float[Array, "N E"]
    length: Float[Array, "N E"]


def summed(values: Float[Array, "T N"], number: Int[Array, "T N"], most: int) -> Float[Array, "N E"]:
    """Sums over the steps of each completion.

    Args:
        values: of steps.
        number: see `Completions`.
        most: completions of a slot, ``E``.
    """
    return jnp.stack([jnp.where(number == e, values, 0).sum(0) for e in range(most)], 1)


def over_steps(values: Float[Array, "N E"], number: Int[Array, "T N"]) -> Float[Array, "T N"]:
    """At every step what stands for its completion, and 0 where it belongs to none."""
    known = jnp.concatenate([values, jnp.zeros_like(values[:, :1])], 1)
    return jnp.take_along_axis(known, number.T, 1).T


def at_ends(tree: Any, number: Int[Array, "T N"], ended: Bool[Array, "T N"], most: int) -> Any:
    """What stands at the last step of each completion, leaves ``[T, N, ...]`` to ``[N, E, ...]``; of those that there are not, anything."""
    last = jnp.stack([jnp.argmax((number == e) & ended, 0) for e in range(most)], 1)
    slot = jnp.arange(number.shape[1])[:, None]
    return jax.tree.map(lambda x: x[last, slot], tree)


def completions_of(trajectory: Trajectory, most: int) -> Completions:
    """The first ``most`` whole episodes of each slot that begin in the rollout.

    Args:
        trajectory: leaves ``[T, N, ...]``.
        most: static, at least 1.
    """
    t = trajectory
    begun = jnp.cumsum(t.first, 0, dtype=jnp.int32) - 1
    number = jnp.where((begun >= 0) & (begun < most), begun, most)
    whole = summed(t.ended.astype(jnp.float32), number, most) > 0
    number = jnp.where(over_steps(whole.astype(jnp.float32), number) > 0, number, most)
    asked = (number < most) & jnp.asarray(t.info.get(ASKED, True))
    total = summed(t.reward.astype(jnp.float32), number, most)
    return Completions(number, asked, whole, total, summed(asked.astype(jnp.float32), number, most))
