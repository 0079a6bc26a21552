"""The gradient steps of PPO: passes over the minibatches of a rollout, each a step on the `Objective`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxrl_envs.fusion import computed_once
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.minibatches import Minibatches
from jaxrl_evolve.learners.critic import first_memory, next_memory
from jaxrl_evolve.learners.optimiser import clipped_step
from jaxrl_evolve.learners.ppo_config import PPOConfig
from jaxrl_evolve.learners.representation import (
    representation_loss,
    step_keys,
)
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.objectives import (
    Objective,
    ObjectiveBatch,
    ObjectiveOutputs,
    TargetObjective,
)
from jaxrl_evolve.objectives.check import pair
from jaxrl_evolve.objectives.representation import Representation
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class PPOState:
    """State of a PPO learner.

    Attributes:
        params: network parameters.
        optimiser: state of `clipped_step` over the raveled parameters.
        observations: running moments of observations, or ``()``.
        returns: running scale of returns, or ``()``.
        representation: what is learned besides (`learners.representation.RepresentationState`), or ``()``.
    """

    params: Any
    optimiser: Any
    observations: Any
    returns: Any
    representation: Any = ()


class Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        num_envs: parallel environments ``N``.
        observation_shape: of one observation.
        network: actor, critic and predictions.
        objective: what is minimised.
        minibatches: how a rollout is cut.
        representation: what the features are trained for besides, if anything.
    """

    config: PPOConfig
    num_envs: int
    observation_shape: tuple[int, ...]
    network: Network
    objective: Objective | TargetObjective
    minibatches: Minibatches
    representation: Representation | None


class Trained(NamedTuple):
    """What gradient steps change: parameters and optimiser of the network, and of the representation's own."""

    params: Any
    optimiser: Any
    own: Any = ()
    own_optimiser: Any = ()


def _outputs(network: Network, params: Any, trajectory: Trajectory, memory: Any) -> ObjectiveOutputs:
    # Once, above all, is the gradient: else every hidden unit's kernel would compute the loss's again.
    distribution, value, prediction = computed_once(
        network.unroll(params, trajectory.obs, trajectory.first, memory)
    )
    log_prob = distribution.log_prob(trajectory.action)
    return ObjectiveOutputs(distribution, log_prob, distribution.entropy(), value, prediction)


def targets_of(parts: Parts, state: PPOState, batch: ObjectiveBatch, eta: Any, clock: Clock) -> Any:
    """What a learned objective makes of the whole rollout; its inputs are not part of the loss's
    gradient, but whoever differentiates the whole update sees them.
    """
    network, objective, t = parts.network, parts.objective, batch.trajectory
    if not isinstance(objective, TargetObjective):
        return ()
    outputs = _outputs(network, state.params, t, first_memory(network, t))
    if network.predict is not None and objective.predictions:
        successors = network.predict(state.params, t.next_obs, next_memory(network, state.params, t))
        outputs = replace(outputs, next_prediction=successors)
    return objective.targets(eta, batch, outputs, clock)


def minimise(
    parts: Parts,
    key: Array,
    state: PPOState,
    rollout: ObjectiveBatch,
    given: Any,
    learning_rate: Array,
    eta: Any,
    clock: Clock,
) -> tuple[Trained, dict[str, Array]]:
    """Passes over the rollout: what was trained, and means of the metrics over all steps."""
    epochs, names = parts.config.epochs, list[str]()

    def step(carry: Trained, xs: Any) -> tuple[Trained, Array]:
        rows, epoch, key_step = xs
        now = replace(clock, epoch=epoch)
        sources = (rollout, given, rows, key_step)
        carry, metrics = _gradient_step(parts, carry, *sources, learning_rate, eta, now)
        names[:] = list(metrics)
        # One vector per step instead of one array per metric: fewer kernels in the innermost loop.
        return carry, jnp.stack(list(metrics.values()))

    rows = parts.minibatches.permutations(key, epochs)
    fractions = jnp.repeat(jnp.arange(epochs, dtype=jnp.float32) / epochs, parts.config.minibatches)
    keys = step_keys(parts.representation, key, epochs * parts.config.minibatches)
    aside = state.representation
    own = (aside.params, aside.optimiser) if aside else ((), ())
    trained = Trained(state.params, state.optimiser, *own)
    trained, history = jax.lax.scan(step, trained, (rows, fractions, keys))
    return trained, dict(zip(names, history.mean(0), strict=True))


def _gradient_step(
    parts: Parts,
    carry: Trained,
    rollout: ObjectiveBatch,
    given: Any,
    rows: Array,
    key: Any,
    learning_rate: Array,
    eta: Any,
    clock: Clock,
) -> tuple[Trained, dict[str, Array]]:
    """One minibatch's step of parameters and optimiser."""
    network, minibatches, hp = parts.network, parts.minibatches, rollout.hp
    batch = replace(minibatches.take(replace(rollout, hp=()), rows), hp=hp)
    memory = minibatches.take_slots(first_memory(network, rollout.trajectory), rows)

    def loss(trained: tuple[Any, Any]) -> tuple[Array, dict[str, Array]]:
        outputs = _outputs(network, trained[0], batch.trajectory, memory)
        found = parts.objective.loss(eta, batch, outputs, clock)
        total, metrics = pair(f"objective {parts.objective.name!r}: loss", found)
        if parts.representation is None:
            return total, metrics
        missed, more = representation_loss(parts.representation, given, minibatches, rows, trained, key)
        return total + hp.prediction_coef * missed, {**metrics, **more}

    def stepped(params: Any, optimiser: Any, gradient: Any) -> tuple[Any, Any, Array]:
        flat, unravel = ravel_pytree(gradient)
        step, size, optimiser = clipped_step(
            parts.config.optimiser, optimiser, flat, learning_rate, hp.max_grad_norm, hp.adam_eps
        )
        return optax.apply_updates(params, unravel(step)), optimiser, size

    trained = (carry.params, carry.own)
    (total, metrics), gradients = jax.value_and_grad(loss, has_aux=True)(trained)
    params, optimiser, size = stepped(carry.params, carry.optimiser, gradients[0])
    metrics = {"loss": total, "grad_norm": size, **metrics}
    if parts.representation is None:
        return Trained(params, optimiser), metrics
    return Trained(params, optimiser, *stepped(carry.own, carry.own_optimiser, gradients[1])[:2]), metrics
