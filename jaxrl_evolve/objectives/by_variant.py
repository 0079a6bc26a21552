"""Several objectives in one run, each of which has the samples of the episodes that a curriculum gave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.objectives.check import pair
from jaxrl_evolve.objectives.objective import Objective, ObjectiveBatch, ObjectiveOutputs
from jaxrl_evolve.settings.foreign import Refused, told

OBJECTIVE = "objective"
"""What ``info`` calls the number of the objective by which an episode is learned from, int32."""


def by_variant(objectives: Mapping[str, Objective]) -> Objective:
    """One objective of several: ``info["objective"]`` says by which of them a sample is learned from (`jaxrl_envs.variants`).

    Each objective is given the whole minibatch, with gradients through what the network says of its own samples only. So the gradient is

        ``sum_k sum over the samples i of k of d loss_k(whole minibatch) / d outputs_i``:

    of objectives that are means over samples, the mean over the whole minibatch of each sample's term by its own objective, whatever
    these make of the recorded batch before. Advantages are normalised over the minibatch as without arms, and an objective weighs as much
    as it has samples. With one objective everywhere the gradient is that objective's, with equal objectives theirs. A sample
    of a number that no objective has teaches nothing.

    What is reported is no such sum, since a loss does not tell its terms: the loss, and each metric, is that of each objective over all samples of
    the minibatch, weighed by its share of them (0 of one that does not report it).

    The parameters are a tuple with those of each objective. ``horizons`` is what the learned ones were made for, if that is one range.

    Args:
        objectives: by name, in the order of their numbers. Of each, what the network says of a sample must enter the loss in a term of that
            sample alone, as with all that `actor_critic_objective` and `drift_objective` make of a surrogate that does.

    Raises:
        ValueError: there are none, or one is none that reads advantages.

    The loss raises ValueError, when it is traced, if ``info`` has no such number.
    """
    if not objectives:
        raise ValueError("objectives is empty; there must be at least one, by its name")
    for name, one in objectives.items():
        if not isinstance(one, Objective):
            raise ValueError(
                f"objectives has {name!r}, which is {told(one)}; it must be an Objective, whose loss is a mean over samples"
            )
    several = tuple(objectives.values())
    ranges = {one.horizons for one in several if one.horizons is not None}

    def init(key: Array) -> tuple[Any, ...]:
        return tuple(one.init(k) for one, k in zip(several, jax.random.split(key, len(several)), strict=True))

    def loss(
        eta: Any, batch: ObjectiveBatch, outputs: ObjectiveOutputs, clock: Clock
    ) -> tuple[Float[Array, ""], dict[str, Array]]:
        info = batch.trajectory.info
        if OBJECTIVE not in info:
            raise Refused(
                f"info has no {OBJECTIVE!r}, which says by which objective an episode is learned from: put "
                f"jaxrl_envs.variants(env, names, {OBJECTIVE!r}) around the environment"
            )
        total, metrics = jnp.zeros((), jnp.float32), dict[str, Array]()
        for number, (name, one) in enumerate(objectives.items()):
            own = info[OBJECTIVE] == number
            share = own.mean(dtype=jnp.float32)
            value, more = pair(
                f"objective {name!r}: loss", one.loss(eta[number], batch, _through(own, outputs), clock)
            )
            weigh = lambda x, share=share: jnp.where(share > 0, share * x, 0.0)
            # The value as it is weighed, the gradient as it is.
            total = total + jnp.where(share > 0, value + jax.lax.stop_gradient(weigh(value) - value), 0.0)
            for what, x in more.items():
                metrics[what] = metrics.get(what, 0.0) + weigh(x)
        return total, metrics

    return Objective(init, loss, ",".join(objectives), *ranges if len(ranges) == 1 else ())


def _through(own: Bool[Array, "t n"], outputs: ObjectiveOutputs) -> ObjectiveOutputs:
    """The same outputs, with gradients where they are one's own."""

    def leaf(x: Array) -> Array:
        mask = own.reshape(own.shape + (1,) * (x.ndim - own.ndim))
        return jnp.where(mask, x, jax.lax.stop_gradient(x))

    return jax.tree.map(leaf, outputs)
