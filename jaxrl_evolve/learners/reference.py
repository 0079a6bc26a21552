"""Policies from which a learner keeps its distance small: the first one, an average, or the newest of a period."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.normalisation import RunningMoments

ReferenceKind = Literal["first", "average", "every", "stages"]


@struct.dataclass
class Reference:
    """A policy of before.

    Attributes:
        actor: what acting reads of a learner.
        renewed: int32 scalar, how often it was replaced by a newer one.
    """

    actor: Any
    renewed: Int[Array, ""]

    @classmethod
    def of(cls, actor: Any) -> Reference:
        """A copy: the state of a run is donated, and no buffer can be in it twice."""
        return cls(jax.tree.map(jnp.copy, actor), jnp.zeros((), jnp.int32))


class Anchor(NamedTuple):
    """A reference that a learner from replay keeps its policy near; static.

    Attributes:
        kind: which policy that is, see `follow`.
        every: updates that learned something between two, or stages of the horizon.
        weight: of hyperparameters; what a nat of divergence from it costs at a step, in units of reward.
        rate: of hyperparameters; the share of the policy that goes into an average with each update.
    """

    kind: ReferenceKind
    every: int
    weight: Callable[[Any], Any]
    rate: Callable[[Any], Any]


def follow(
    kind: ReferenceKind,
    reference: Reference,
    actor: Any,
    rate: Array | float,
    every: int,
    updates: Array,
    clock: Clock,
) -> Reference:
    """The reference after an update.

    Args:
        kind: ``first`` stays; ``average`` takes a share of the policy's parameters, and its normaliser of observations as it is;
            ``every`` is replaced after so many updates; ``stages`` whenever another part of the horizon is over.
        reference: before.
        actor: the policy after the update.
        rate: that share.
        every: those updates, or the number of stages.
        updates: int32, updates made, with this one.
        clock: of the update.
    """
    if kind == "first":
        return reference
    if kind == "average":
        return Reference(_mixed(rate, reference.actor, actor), reference.renewed)
    stage = jnp.floor(every * (clock.step / clock.horizon)).astype(jnp.int32)
    due = updates % every == 0 if kind == "every" else stage > reference.renewed
    taken = jax.tree.map(lambda old, new: jnp.where(due, new, old), reference.actor, actor)
    renewed = jnp.where(due, stage if kind == "stages" else reference.renewed + 1, reference.renewed)
    return Reference(taken, renewed)


def _mixed(rate: Array | float, past: Any, actor: Any) -> Any:
    moments = lambda leaf: isinstance(leaf, RunningMoments)

    def one(old: Any, new: Any) -> Any:
        # Moments are a mean over all steps already: of an average with those of nothing, nobody has played. Whole numbers, such as counts, are no
        # quantities to average.
        if moments(old) or not jnp.issubdtype(old.dtype, jnp.floating):
            return new
        return old + rate * (new - old)

    return jax.tree.map(one, past, actor, is_leaf=moments)
