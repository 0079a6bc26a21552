"""What a method is: where it begins, a step on feedback, and the policy it has then.

All methods work in probabilities: win rates ``P``, and the weight ``tau`` of a KL divergence beside them. What is twice as large
in advantage units, a step on ``A`` for instance, is half as large here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int


@struct.dataclass
class Hyperparameters:
    """Numbers of a method, traced: a grid of them is one vmap. Each method reads some.

    Attributes:
        step: step size of multiplicative weights, learning rate of Adam.
        tau: weight of the KL divergence from a reference.
        rate: share by which a moving reference follows in a step.
        eta: step of the multiplicative weights that SPPO regresses on.
        decay: the ``t``-th step size is ``step / (1 + decay t)``.
    """

    step: Any = 0.1
    tau: Any = 0.05
    rate: Any = 0.01
    eta: Any = 1.0
    decay: Any = 0.0


class Sample(NamedTuple):
    """Options of a policy with their win rates against it; the axis is that of samples, or of all options."""

    option: Int[Array, " m"]
    weight: Float[Array, " m"]
    win: Float[Array, " m"]


class Pairs(NamedTuple):
    """Options of two policies, and the label of the first against the second."""

    first: Int[Array, " m"]
    second: Int[Array, " m"]
    weight: Float[Array, " m"]
    label: Float[Array, " m"]


class Feedback(NamedTuple):
    """Three ways to ask an oracle about a game of ``n`` options; each asks the same number of queries.

    Attributes:
        against: ``(key, q [n]) -> [n]``: win rate of every option against draws of ``q``.
        sample: ``(key, p [n]) -> Sample``: draws of ``p``, compared among each other.
        pairs: ``(key, p [n], q [n]) -> Pairs``: independent draws of both.
    """

    against: Callable[[Array, Array], Array]
    sample: Callable[[Array, Array], Sample]
    pairs: Callable[[Array, Array, Array], Pairs]


class Solver(NamedTuple):
    """A method.

    Attributes:
        init: ``params -> state``. The parameters are those of the policy that it begins with, which is its reference as well.
        step: ``(key, state, feedback, hp) -> state``.
        policy: ``state -> p [n]``, the current iterate.
        asks: how often a step asks for feedback.
    """

    init: Callable[[Any], Any]
    step: Callable[[Array, Any, Feedback, Hyperparameters], Any]
    policy: Callable[[Any], Array]
    asks: int = 1


class Parametrisation(NamedTuple):
    """How parameters become a distribution over options.

    Attributes:
        init: ``(key, scale) -> params``: normal logits; uniform of scale 0.
        log_probs: ``params -> [n]``.
    """

    init: Callable[[Array, Any], Any]
    log_probs: Callable[[Any], Array]


def softmax(n: int) -> Parametrisation:
    """A logit for each option."""
    return Parametrisation(lambda key, scale: scale * jax.random.normal(key, (n,)), jax.nn.log_softmax)


def autoregressive(vocabulary: int, length: int) -> Parametrisation:
    """Sequences of tokens with logits of the next one for every beginning, as a table; options in lexicographic order."""

    def init(key: Array, scale: Any) -> Any:
        keys = jax.random.split(key, length)
        return [scale * jax.random.normal(keys[t], (vocabulary**t, vocabulary)) for t in range(length)]

    def log_probs(params: Any) -> Array:
        total = jnp.zeros(1, params[0].dtype)
        for logits in params:
            total = (total[:, None] + jax.nn.log_softmax(logits)).ravel()
        return total

    return Parametrisation(init, log_probs)
