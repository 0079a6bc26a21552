"""The pieces that actor-critic objectives share: value loss, entropy bonus, advantage scaling, and the
frame that turns a surrogate for the policy into a whole objective.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.objectives.check import pair
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch, ObjectiveOutputs, no_parameters
from jaxrl_evolve.settings.foreign import Refused

Surrogate = Callable[
    [Any, Float[Array, "t n"], Float[Array, "t n"], ObjectiveBatch, Clock], tuple[Array, dict[str, Array]]
]
"""``(eta, log_ratio, advantage, batch, clock) -> (loss per sample [t, n], metrics)``."""


ONE_SAMPLE = (
    "a minibatch holds one sample, whose normalised advantage is always zero, so nothing would be learned; "
    "minibatches must be fewer, or normalise_advantage False"
)


def normalised(advantage: Float[Array, "t n"]) -> Float[Array, "t n"]:
    """Zero mean and unit standard deviation over the batch.

    Raises:
        ValueError: the batch is one sample, whose advantage would always be zero.
    """
    if advantage.size < 2:
        raise ValueError(ONE_SAMPLE)
    centred = advantage - advantage.mean()
    return centred * jax.lax.rsqrt(jnp.square(centred).mean() + 1e-8)


def value_loss(batch: ObjectiveBatch, value: Float[Array, "t n"], clip: Float[Array, ""] | None) -> Array:
    """Half the squared error to the targets, scalar.

    With ``clip`` given, the pessimistic maximum with the error of a value kept within ``clip`` of the one
    recorded when acting, as in the PPO reference implementation (Engstrom et al. 2020, section 3).
    """
    error = value - batch.target
    if clip is not None:
        old = batch.trajectory.policy.value
        assert old is not None, "the learner records values before it calls the objective"
        change = value - old
        limit = jnp.where(change > 0, clip, -clip)
        kept = old - batch.target + jnp.where(jnp.abs(change) > clip, limit, change)
        error = jnp.where(jnp.abs(kept) > jnp.abs(error), kept, error)
    return 0.5 * jnp.square(error).mean()


def check_per_sample(what: str, given: Array, advantage: Array) -> None:
    """Refuse what is not one number per sample: its mean would be a loss all the same, of something else.

    Raises:
        ValueError: naming both shapes.
    """
    if jnp.shape(given) != advantage.shape:
        raise Refused(
            f"{what} gives an array of shape {list(jnp.shape(given))} for samples {list(advantage.shape)}; it must be one "
            "number per sample"
        )


def actor_critic_objective(
    name: str,
    surrogate: Surrogate,
    init: Callable[[jax.Array], Any] = no_parameters,
    normalise_advantage: bool = True,
    clip_value: bool = True,
) -> Objective:
    """A whole objective from a surrogate for the policy.

    ``loss = mean(surrogate) + value_coef * value_loss - entropy_coef * mean(entropy)``; the coefficients
    come from ``batch.hp``, the entropy bonus follows the clock.

    Args:
        name: for reports.
        surrogate: the policy's loss per sample.
        init: makes ``eta``.
        normalise_advantage: whether advantages are scaled within the batch.
        clip_value: whether the value loss is clipped by ``hp.clip``.

    The loss raises ValueError, when it is traced, if the surrogate gives no pair, or not one number per sample.
    """

    def loss(
        eta: Any, batch: ObjectiveBatch, outputs: ObjectiveOutputs, clock: Clock
    ) -> tuple[Array, dict[str, Array]]:
        hp = batch.hp
        log_ratio = outputs.log_prob - batch.trajectory.policy.log_prob
        advantage = normalised(batch.advantage) if normalise_advantage else batch.advantage
        what, given = f"objective {name!r}: its surrogate", surrogate(eta, log_ratio, advantage, batch, clock)
        per_sample, metrics = pair(what, given, "one number per sample")
        check_per_sample(what, per_sample, advantage)
        policy = per_sample.mean()
        value = value_loss(batch, outputs.value, hp.clip if clip_value else None)
        entropy = outputs.entropy.mean()
        entropy_coef = linear_schedule(clock, hp.entropy_coef, hp.entropy_end)
        total = policy + hp.value_coef * value - entropy_coef * entropy
        own = {"policy_loss": policy, "value_loss": value, "entropy": entropy}
        if twice := sorted({*own} & {*metrics}):
            raise Refused(
                f"{what} gives a metric called {twice[0]!r}, a name that is taken; call it otherwise"
            )
        return total, {**own, **metrics}

    return Objective(init, loss, name)
