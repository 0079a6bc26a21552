"""A reward model: rewards of single steps whose sums over segments explain which of two segments is preferred (Christiano et al. 2017).

``P(a > b) = sigmoid(sum of r over a - sum of r over b)`` (Bradley and Terry 1952). Several models of different beginnings are an ensemble: rewards are their
mean, and where they disagree about a pair there is something to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.preferences.learned import encoded, encoder

_AT_ONCE = 2**16
"""Steps that go through a model side by side."""


@struct.dataclass
class Pairs:
    """Pairs of segments of ``L`` steps; the axis of size 2 is the first and the second.

    Attributes:
        features: float32 ``[P, 2, L, F]``, of each step.
        alive: bool ``[P, 2, L]``, whether the step belongs to the segment: not after an end.
        label: float32 ``[P]``, 1 where the first was preferred, 1/2 for ties, or probabilities.
    """

    features: Float[Array, "P 2 L F"]
    alive: Bool[Array, "P 2 L"]
    label: Float[Array, " P"]


class RewardModel(NamedTuple):
    """An ensemble of ``M`` models.

    Attributes:
        features: how many a step has.
        hidden: sizes of layers with tanh between.
        members: ``M``.
    """

    features: int
    hidden: Sequence[int]
    members: int

    def init(self, key: Array) -> Any:
        """Parameters, leaves ``[M, ...]``."""
        sizes = (self.features, *self.hidden, 1)
        return jax.vmap(lambda key: encoder(key, sizes))(jax.random.split(key, self.members))

    def rewards(self, params: Any, x: Float[Array, "... F"]) -> Float[Array, "M ..."]:
        """Of steps, by each member."""
        return jax.vmap(lambda layers: encoded(layers, x)[..., 0])(params)

    def mean_rewards(self, params: Any, x: Float[Array, "P 2 L F"]) -> Float[Array, "P 2 L"]:
        """Of steps, their mean over the members; pairs go by in blocks, since what lies between layers is far larger than what comes in."""
        return _in_blocks(lambda x: self.rewards(params, x).mean(0), x, x.shape[1] * x.shape[2])

    def logits(self, params: Any, pairs: Pairs) -> Float[Array, "M P"]:
        """Of the first being preferred, by each member."""
        told = self.rewards(params, pairs.features)
        score = jnp.where(pairs.alive, told, 0.0).sum(-1)
        return score[..., 0] - score[..., 1]

    def losses(self, params: Any, pairs: Pairs) -> Float[Array, "M P"]:
        """Cross-entropy with the labels, in nats."""
        return optax.sigmoid_binary_cross_entropy(self.logits(params, pairs), pairs.label)

    def disagreement(self, params: Any, pairs: Pairs) -> Float[Array, " P"]:
        """Standard deviation, over the members, of the probability that the first is preferred; in blocks, as `mean_rewards`."""
        one = lambda pairs: jax.nn.sigmoid(self.logits(params, pairs)).std(0)
        return _in_blocks(one, pairs, pairs.alive.shape[1] * pairs.alive.shape[2])


def _in_blocks(function: Callable[[Any], Array], x: Any, steps: int) -> Array:
    """A function of pairs ``[P, ...]`` of so many steps each, so many pairs at a time; all at once where they are few."""
    number, block = jax.tree.leaves(x)[0].shape[0], max(1, _AT_ONCE // steps)
    if number <= block:
        return function(x)
    return jax.lax.map(lambda one: function(jax.tree.map(lambda x: x[None], one))[0], x, batch_size=block)
