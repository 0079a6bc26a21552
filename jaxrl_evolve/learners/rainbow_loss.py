"""What agents that learn action values from replay learn towards, and how far they are from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_envs.spaces import Space
from jaxrl_evolve.experience.augmentation import random_intensity, random_shift
from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.n_step import NStep
from jaxrl_evolve.experience.replay import Window, observation
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.networks.action_values import ActionValues, scaled
from jaxrl_evolve.objectives.categorical import atoms_between, cross_entropy, entropy, projected
from jaxrl_evolve.objectives.self_prediction import self_prediction


class Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        space: of observations.
        network: features, head, model.
        layout: of the replay buffer.
        steps_per_update: environment steps of one rollout.
    """

    config: RainbowConfig
    space: Space
    network: ActionValues
    layout: Layout
    steps_per_update: int

    def call(self, method: Any, params: Any, *inputs: Any, key: Array | None = None) -> Any:
        """A method of the network; with a key, noise and dropout draw from it."""
        rngs: Any = (
            None if key is None else dict(zip(("noise", "dropout"), jax.random.split(key), strict=True))
        )
        return self.network.apply(params, *inputs, rngs=rngs, method=method)

    def mean(self, logits: Float[Array, "... atoms"]) -> Float[Array, ...]:
        """Expected returns."""
        if self.config.atoms == 1:
            return logits[..., 0]
        return jax.nn.softmax(logits) @ self.atoms

    @property
    def atoms(self) -> Float[Array, " atoms"]:
        return atoms_between(self.config.low, self.config.high, self.config.atoms)

    def fresh(self, key: Array) -> Any:
        """New parameters of the network."""
        obs = scaled(self.space, jnp.zeros((1, *self.space.shape), self.space.dtype))
        rngs: Any = dict(zip(("params", "noise", "dropout"), jax.random.split(key, 3), strict=True))
        return self.network.init(rngs, obs, jnp.zeros((1,), jnp.int32), method=ActionValues.everything)


def horizon_of_returns(
    hp: RainbowHyperparameters, since: Int[Array, ""]
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """Steps ``n`` and discount after so many gradient steps since the last reset (Schwarzer et al. 2023, BBF).

    Both go over in a geometric line, ``n`` from long to short, rounded, and ``1 - gamma`` likewise.
    """
    share = jnp.where(hp.anneal > 0, jnp.clip(since / jnp.maximum(hp.anneal, 1.0), 0.0, 1.0), 1.0)
    between = lambda start, end: jnp.exp((1 - share) * jnp.log(start) + share * jnp.log(end))
    small = 1e-12  # a discount of one has no logarithm of its distance to one
    rest = between(jnp.maximum(1.0 - hp.gamma_start, small), jnp.maximum(1.0 - hp.gamma, small))
    # Not by way of logarithms where nothing goes over: the discount that was asked for, to the last bit.
    gamma = jnp.where(share == 1.0, jnp.asarray(hp.gamma, jnp.float32), 1.0 - rest)
    return jnp.round(between(hp.steps_start, hp.steps)).astype(jnp.int32), gamma


class Targets(NamedTuple):
    """What does not depend on the parameters that are learned.

    Attributes:
        images: observations at the start, as learned from.
        returns: distributions (values, of one atom) that the taken actions should have.
        projections: ``[K, B, P]`` of what came, or ``()``.
        belongs: bool ``[K, B]``, whether it is of the same episode.
    """

    images: Array
    returns: Array
    projections: Any
    belongs: Any


def _changed(parts: Parts, key: Array, obs: Any) -> Array:
    """Observations as they are learned from: scaled, and images moved and made brighter or darker at random."""
    images = scaled(parts.space, obs)
    key_shift, key_intensity = jax.random.split(key)
    if parts.config.shift:
        images = random_shift(key_shift, images, parts.config.shift)
    return random_intensity(key_intensity, images, parts.config.intensity)


def targets_of(parts: Parts, key: Array, params: Any, target: Any, window: Window, step: NStep) -> Targets:
    """Of a batch of windows, each by its n-step return, valued by the network with the parameters ``target``."""
    config = parts.config
    keys = jax.random.split(key, 6)
    after = observation(parts.layout, window, step.offset)

    def of_successor(params: Any, keys: tuple[Array, Array]) -> Array:
        images = _changed(parts, keys[0], after)
        key_encode, key_head = jax.random.split(keys[1])
        features = parts.call(ActionValues.encode, params, images, True, key=key_encode)
        return parts.call(ActionValues.values, params, features, True, key=key_head)[0]

    logits = of_successor(target, (keys[0], keys[1]))
    choice = of_successor(params, (keys[2], keys[3])) if config.double else logits
    best = parts.mean(choice).argmax(-1)
    chosen = jnp.take_along_axis(logits, best[:, None, None], 1)[:, 0]
    if config.atoms == 1:
        value = jnp.where(step.discount > 0, step.discount * chosen[:, 0], 0.0)
        returns = (step.reward + value)[:, None]
    else:
        # Of a task that ended all goes to the reward, whatever the successor's distribution; it may be no number.
        probability = jnp.where(step.discount[:, None] > 0, jax.nn.softmax(chosen), 1.0 / config.atoms)
        returns = projected(parts.atoms, probability, step.reward, step.discount)
    images = _changed(parts, keys[4], observation(parts.layout, window, 0))
    if not config.predicted:
        return Targets(images, returns, (), ())
    ahead = range(1, config.predicted + 1)
    came = jnp.concatenate([observation(parts.layout, window, k) for k in ahead])
    key_change, key_encode = jax.random.split(keys[5])
    features = parts.call(
        ActionValues.encode, target, _changed(parts, key_change, came), True, key=key_encode
    )
    projections = parts.call(ActionValues.project, target, features)
    same = jnp.cumsum(window.ended, 1).T[: config.predicted] == 0
    return Targets(images, returns, projections.reshape((config.predicted, -1, projections.shape[-1])), same)


def loss_of(
    parts: Parts, key: Array, params: Any, window: Window, targets: Targets, weight: Array, coef: Array
) -> tuple[Float[Array, ""], tuple[Float[Array, " B"], dict[str, Array]]]:
    """The weighted loss, each window's priority before its power, and what is worth reporting."""
    config = parts.config
    key_encode, key_head = jax.random.split(key)
    features = parts.call(ActionValues.encode, params, targets.images, True, key=key_encode)
    logits, units = parts.call(ActionValues.values, params, features, True, key=key_head)
    own = jnp.take_along_axis(logits, window.action[:, 0][:, None, None], 1)[:, 0]
    # Selected, not multiplied: what is not known may be no number.
    known = weight > 0
    over = lambda x: jnp.where(known, x, 0.0).sum() / jnp.maximum(known.sum(), 1)
    metrics = {"q_mean": over(parts.mean(own)), "unknown": 1.0 - known.mean(dtype=jnp.float32)}
    if config.atoms == 1:
        off = jnp.abs(own[:, 0] - targets.returns[:, 0])
        small = jnp.minimum(off, 1.0) if config.loss == "huber" else off
        error = surprise = 0.5 * jnp.square(small) + (off - small)
        metrics["td_error"] = over(off)
    else:
        error = cross_entropy(targets.returns, own)
        surprise = error - entropy(targets.returns) if config.priority == "kl" else error
    metrics |= {
        "value_loss": over(error),
        "active_units": (units > 0).mean(dtype=jnp.float32),
        "dormant_units": dormant(units),
    }
    total = error
    if config.predicted:
        ahead = []
        for k in range(config.predicted):
            features = parts.call(ActionValues.ahead, params, features, window.action[:, k])
            ahead.append(features)
        # All at once: the projection is the largest product, and its weights are then read once.
        predicted = parts.call(ActionValues.predict, params, jnp.concatenate(ahead))
        predicted = predicted.reshape((config.predicted, -1, predicted.shape[-1]))
        missed = self_prediction(predicted, targets.projections, targets.belongs)
        metrics["prediction_loss"] = over(missed)
        total = error + coef * missed
    # Of what is not known it is no number, and sets no priority.
    surprise = jnp.where(known, jax.lax.stop_gradient(surprise), jnp.nan)
    return over(weight * jnp.where(known, total, 0.0)), (surprise, metrics)


def dormant(units: Float[Array, "B H"]) -> Float[Array, ""]:
    """Share of the units that do next to nothing, on average less than a fortieth of the layer's mean (Sokar et al. 2023)."""
    score = jnp.abs(units).mean(0)
    return (score <= 0.025 * score.mean()).mean(dtype=jnp.float32)
