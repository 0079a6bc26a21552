"""One gradient step of SAC: critics, then the policy by the new critics, then the temperature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_envs.spaces import Box, Space
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.n_step import n_step
from jaxrl_evolve.experience.relabelling import Relabel, Relabelled, draw_relabelled
from jaxrl_evolve.experience.replay import Replay, draw, observation
from jaxrl_evolve.learners.optimiser import clipped_step
from jaxrl_evolve.learners.reference import Anchor
from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.networks.action_values import scaled
from jaxrl_evolve.networks.distributions import TanhNormal
from jaxrl_evolve.networks.soft_actor_critic import Critics, SquashedPolicy


@struct.dataclass
class SACState:
    """State of a SAC learner.

    Attributes:
        policy: parameters of the policy.
        critics: of both critics.
        target: of the target critics.
        log_temperature: logarithm of the entropy's weight, float32 ``[1]``.
        optimisers: Adam's moments of policy, critics and temperature.
        observations: running moments, or ``()``.
        steps: gradient steps made, int32 scalar.
        uniform: 1 while actions are uniform, else 0, float32 scalar.
        reference: the policy that ``anchor`` holds to, a `Reference` of parameters, or ``()``.
    """

    policy: Any
    critics: Any
    target: Any
    log_temperature: Float[Array, " 1"]
    optimisers: Any
    observations: Any
    steps: Int[Array, ""]
    uniform: Float[Array, ""]
    reference: Any = ()


class Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        space: of observations.
        actions: their space, with finite bounds.
        policy: observations to distributions over actions in [-1, 1].
        critics: of observations and actions in [-1, 1].
        layout: of the replay buffer.
        steps_per_update: environment steps of one rollout.
        relabel: what tells rewards when they are learned from, or None: then they are those that were lived.
        anchor: the reference that the policy keeps near, or None.
    """

    config: SACConfig
    space: Space
    actions: Box
    policy: SquashedPolicy
    critics: Critics
    layout: Layout
    steps_per_update: int
    relabel: Relabel | None = None
    anchor: Anchor | None = None

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and half of the actions' range, float32 ``[A]``."""
        low, high = self.actions.bound("low").ravel(), self.actions.bound("high").ravel()
        return (high + low) / 2, (high - low) / 2

    def seen(self, observations: Any, obs: Any) -> Float[Array, "B D"]:
        """Observations ``[B, ...]`` as the networks read them."""
        x = scaled(self.space, obs)
        x = x.reshape((x.shape[0], -1))
        return observations.normalise(x) if self.config.normalise_observations else x

    def acting(self, params: Any, obs: Float[Array, "B D"]) -> TanhNormal:
        """Of actions in [-1, 1]."""
        return cast(TanhNormal, self.policy.apply(params, obs))

    def apart(self, state: SACState, found: TanhNormal, obs: Float[Array, "B D"]) -> Float[Array, " B"]:
        """How far a policy is from the reference's, in nats; 0 where there is none."""
        if self.anchor is None:
            return jnp.zeros(obs.shape[:1], jnp.float32)
        return found.kl(self.acting(state.reference.actor, obs))

    def values(
        self, params: Any, obs: Float[Array, "B D"], action: Float[Array, "B A"]
    ) -> Float[Array, "2 B"]:
        """Of both critics."""
        return cast(Array, self.critics.apply(params, obs, action))


class Batch(NamedTuple):
    """What a gradient step learns from; leaves ``[B, ...]``.

    Attributes:
        obs: as the networks read them.
        action: in [-1, 1].
        target: what the critics should say.
        known: whether the target is known: not where the successor is not held any more.
        metrics: of what told the rewards.
    """

    obs: Array
    action: Array
    target: Array
    known: Array
    metrics: dict[str, Array]


def batch_of(
    parts: Parts, state: SACState, key: Array, store: Replay | Relabelled, hp: SACHyperparameters
) -> Batch:
    """Steps of experience, each with the soft value of its true successor by the target critics."""
    key_draw, key_next = jax.random.split(key)
    told = None
    if isinstance(store, Relabelled):
        assert parts.relabel is not None
        drawn, told = draw_relabelled(parts.layout, parts.relabel, key_draw, store, parts.config.batch)
    else:
        drawn = draw(parts.layout, key_draw, store, parts.config.batch)
    window = drawn.window
    step = n_step(window, 1, hp.gamma)
    middle, half = parts.affine
    action = (window.action[:, 0].reshape((parts.config.batch, -1)) - middle) / half
    obs = parts.seen(state.observations, observation(parts.layout, window, 0))
    after = parts.seen(state.observations, observation(parts.layout, window, step.offset))
    policy = parts.acting(state.policy, after)
    chosen, log_prob = policy.sample_and_log_prob(key_next)
    value = parts.values(state.target, after, chosen).min(0) - jnp.exp(state.log_temperature[0]) * log_prob
    if parts.anchor is not None:
        value -= parts.anchor.weight(hp) * parts.apart(state, policy, after)
    # Selected, since what follows the end of a task may be no number.
    value = jnp.where(step.discount > 0, step.discount * value, 0.0)
    known, metrics = (step.known, {}) if told is None else (step.known & told.known, told.metrics)
    return Batch(obs, action, hp.reward_scale * step.reward + value, known, metrics)


def critic_loss(parts: Parts, params: Any, batch: Batch) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Half the mean squared error, of both critics together."""
    found = parts.values(params, batch.obs, batch.action)
    error = jnp.where(batch.known, found - batch.target, 0.0)
    count = jnp.maximum(batch.known.sum(), 1)
    metrics = {"td_error": jnp.abs(error).sum() / (2 * count), "q_mean": found.mean()}
    return 0.5 * jnp.square(error).sum() / count, metrics


def policy_loss(
    parts: Parts,
    params: Any,
    state: SACState,
    temperature: Array,
    obs: Array,
    key: Array,
    hp: SACHyperparameters,
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], Float[Array, ""]]]:
    """Temperature times log-probability minus value of fresh actions, and what the distance from a reference costs; beside it their mean
    log-probability and that distance. Of ``state``, the critics and the reference.
    """
    policy = parts.acting(params, obs)
    action, log_prob = policy.sample_and_log_prob(key)
    value, apart = parts.values(state.critics, obs, action).min(0), parts.apart(state, policy, obs)
    cost = temperature * log_prob - value
    if parts.anchor is not None:
        cost += parts.anchor.weight(hp) * apart
    return cost.mean(), (log_prob.mean(), apart.mean())


def gradient_step(
    parts: Parts,
    state: SACState,
    key: Array,
    store: Replay | Relabelled,
    hp: SACHyperparameters,
    decay: Array,
) -> tuple[SACState, dict[str, Array]]:
    """The state after one step of each, and metrics.

    Args:
        parts: of the learner.
        state: before.
        key: of the draw and of the policy's actions.
        store: the replay buffer.
        hp: hyperparameters.
        decay: what is left of the learning rates.
    """
    key_batch, key_policy = jax.random.split(key)
    batch = jax.lax.stop_gradient(batch_of(parts, state, key_batch, store, hp))
    by_policy, by_critics, by_temperature = state.optimisers
    (loss, metrics), gradient = jax.value_and_grad(
        lambda params: critic_loss(parts, params, batch), has_aux=True
    )(state.critics)
    rate = decay * hp.critic_learning_rate
    critics, size, by_critics = _stepped(by_critics, state.critics, gradient, rate, hp)
    temperature = jnp.exp(state.log_temperature[0])
    valued = replace(state, critics=critics)
    (cost, (log_prob, apart)), gradient = jax.value_and_grad(
        lambda params: policy_loss(parts, params, valued, temperature, batch.obs, key_policy, hp),
        has_aux=True,
    )(state.policy)
    rate = decay * hp.learning_rate
    policy, policy_size, by_policy = _stepped(by_policy, state.policy, gradient, rate, hp)
    # Of its logarithm, as in the authors' code: by how much the entropy exceeds the one that is asked for.
    target_entropy = hp.target_entropy * parts.policy.elements
    excess = jnp.reshape(-log_prob - target_entropy, (1,))
    rate = decay * hp.temperature_learning_rate
    move, _, by_temperature = clipped_step("adam", by_temperature, excess, rate, None, hp.adam_eps)
    follow = lambda old, new: old + hp.target_rate * (new - old)
    after = replace(
        state,
        policy=policy,
        critics=critics,
        target=jax.tree.map(follow, state.target, critics),
        log_temperature=state.log_temperature + move,
        optimisers=(by_policy, by_critics, by_temperature),
        steps=state.steps + 1,
    )
    metrics |= batch.metrics | {
        "loss": loss,
        "policy_loss": cost,
        "entropy": -log_prob,
        "grad_norm": size,
        "policy_grad_norm": policy_size,
    }
    if parts.anchor is not None:
        metrics["reference_kl"] = apart
    return after, metrics


def _stepped(
    optimiser: Any, params: Any, gradient: Any, rate: Array, hp: SACHyperparameters
) -> tuple[Any, Float[Array, ""], Any]:
    """Parameters after a step of Adam, the gradient's norm before it was clipped, and Adam's new state."""
    move, size, optimiser = clipped_step("adam", optimiser, gradient, rate, hp.max_grad_norm, hp.adam_eps)
    return jax.tree.map(jnp.add, params, move), size, optimiser
