"""The one interface of bandits: where a method begins, how likely each arm is to be drawn, and what it makes of what came.

All functions are pure and of fixed shapes, so a method is vmapped over seeds and over its own numbers. Time is counted in
updates of the bandit, not in draws: what is decayed is decayed once an update, for arms that were not drawn too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.settings.checks import Above, AtLeast, Between
from jaxrl_evolve.settings.scalar import Scalar, hyperparameters


@hyperparameters
class Hyperparameters:
    """Numbers of a method, traced; each method reads some (`table.METHODS` says which)."""

    step: Annotated[Scalar, Above(0.0)] = 0.3
    """Step size: of a moving average, of log-weights (EXP3.S), of the target difficulty (AdaRFT)."""
    temperature: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Probabilities are proportional to exp(score / temperature); 0 takes the best arm, any of them if there are several."""
    perplexity: Annotated[Scalar, Between(0.0, 1.0)] | None = None
    """Effective number of arms as a share of those that are available; the temperature is then found for it."""
    floor: Annotated[Scalar, Between(0.0, 1.0)] = 0.05
    """Share of the draws that is spread evenly over all available arms."""
    discount: Annotated[Scalar, Between(0.0, 1.0)] = 0.95
    """What is left of earlier evidence after an update."""
    bonus: Annotated[Scalar, AtLeast(0.0)] = 1.0
    """Weight of what is added for arms that are known little."""
    optimism: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """Value of an arm that nothing is known of."""
    reversion: Annotated[Scalar, Between(0.0, 1.0)] = 0.0
    """Share of the way to `optimism` that the value of an arm goes in an update that it is not drawn in."""
    prior: Annotated[Scalar, Above(0.0)] = 1.0
    """Successes, and failures, that each arm is believed to have had before the first."""
    mastery: Annotated[Scalar, Between(0.0, 1.0)] = 0.8
    """Share of successes from which on an arm is mastered."""
    target: Annotated[Scalar, Between(0.0, 1.0)] = 0.5
    """Share of successes that AdaRFT steers towards."""
    gain: Annotated[Scalar, AtLeast(0.0)] = 2.0
    """How sharply AdaRFT reacts to how far it is from it."""
    beta: Annotated[Scalar, AtLeast(0.0)] = 0.0
    """EXP3.S: what is added to every arm's reward before it is divided by the arm's probability."""
    fast: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """Step size of the average of successes that follows quickly."""
    slow: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """Step size of the average of that average."""
    reweight: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """How strongly small shares of successes are stretched before their progress is taken."""
    dull: Annotated[Scalar, Between(0.0, 1.0)] = 0.001
    """OMNI: what is left of the probability of an arm that is not interesting."""
    easy: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """Share of the draws that arms get that are too easy."""
    hard: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """Share of the draws that arms get that are too hard."""
    width: Annotated[Scalar, Between(0.0, 1.0)] = 0.1
    """An arm is too easy, or too hard, where its share of successes is no further than this from 1, or from 0."""


class Feedback(NamedTuple):
    """What came of an update.

    Attributes:
        reward: float32 ``[arms]``, the mean over what was measured of an arm; not read where nothing was.
        count: float32 ``[arms]``, of how many it is the mean, 0 of none.
        available: bool ``[arms]``, which arms could be drawn; None for all.
    """

    reward: Float[Array, " arms"]
    count: Float[Array, " arms"]
    available: Bool[Array, " arms"] | None = None

    @property
    def seen(self) -> Bool[Array, " arms"]:
        """Which arms something came of."""
        return self.count > 0

    @property
    def total(self) -> Float[Array, " arms"]:
        """The sum of rewards of each arm."""
        return jnp.where(self.seen, self.reward, 0.0) * self.count


class Bandit(NamedTuple):
    """A method.

    Attributes:
        init: ``(arms, hp) -> state``, for a number of arms.
        probabilities: ``(key, state, available [arms], hp) -> [arms]``, which add up to one; exactly 0 where an arm is
            not available. Some arm is.
        update: ``(key, state, feedback, hp) -> state``.
        fresh: whether every single draw needs probabilities of its own, from a key of its own, as where an arm is the best
            by a draw from what is believed.
    """

    init: Callable[[int, Hyperparameters], Any]
    probabilities: Callable[[Array, Any, Array, Hyperparameters], Array]
    update: Callable[[Array, Any, Feedback, Hyperparameters], Any]
    fresh: bool = False


def draw(
    bandit: Bandit,
    key: Array,
    state: Any,
    available: Bool[Array, " arms"],
    hp: Hyperparameters,
    count: int,
) -> Int[Array, " count"]:
    """Independent draws of arms.

    Args:
        bandit: the method.
        key: of all draws.
        state: the method's.
        available: which arms may be drawn, at least one.
        hp: its numbers.
        count: how many.
    """
    key_believed, key_drawn = jax.random.split(key)
    keys = jax.random.split(key_believed, count) if bandit.fresh else key_believed
    by_key = lambda k: bandit.probabilities(k, state, available, hp)
    probabilities = jax.vmap(by_key)(keys) if bandit.fresh else by_key(keys)
    below = jnp.cumsum(probabilities, -1)
    # Never the last arm by rounding, and never one without probability: what is drawn lies below the sum.
    place = jax.random.uniform(key_drawn, (count, 1), jnp.float32) * below[..., -1:]
    drawn = (below <= place).sum(-1, dtype=jnp.int32)
    return jnp.minimum(drawn, (below < below[..., -1:]).sum(-1, dtype=jnp.int32))


def filled(arms: int, value: Any = 0.0) -> Float[Array, " arms"]:
    """The same number for every arm, float32."""
    return jnp.full((arms,), value, jnp.float32)
