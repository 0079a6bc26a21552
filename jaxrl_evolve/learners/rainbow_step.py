"""One gradient step of an agent that learns action values from replay: what it learns towards, its loss, its reset."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from jaxrl_envs.spaces import Space
from jaxrl_evolve.experience.augmentation import random_intensity, random_shift
from jaxrl_evolve.experience.n_step import NStep, n_step
from jaxrl_evolve.experience.priorities import set_places
from jaxrl_evolve.experience.replay import Drawn, Layout, Replay, Window, draw, observation, starts
from jaxrl_evolve.learners.optimiser import clipped_step, norm
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.networks.action_values import ActionValues, scaled
from jaxrl_evolve.objectives.categorical import atoms_between, cross_entropy, entropy, projected
from jaxrl_evolve.objectives.self_prediction import self_prediction


@struct.dataclass
class Adaptation:
    """What an adaptive replay ratio has seen (Ma et al. 2024).

    Attributes:
        active: sum of the shares of active units since the last look, float32 scalar.
        count: of how many gradient steps, float32 scalar.
        before: the mean at the last look, float32 scalar; -1 before the first.
        episodes: ended since the last look, float32 scalar.
        raised: whether the ratio has been raised, bool scalar. It stays so.
    """

    active: Float[Array, ""]
    count: Float[Array, ""]
    before: Float[Array, ""]
    episodes: Float[Array, ""]
    raised: Array


@struct.dataclass
class RainbowState:
    """State of the learner.

    Attributes:
        params: of the network.
        target: parameters of the target network.
        optimiser: state of `clipped_step` over the raveled parameters.
        steps: gradient steps made, int32 scalar.
        since: gradient steps since the start or the last reset, int32 scalar.
        epsilon: probability of a random action in the next rollout, float32 scalar.
        epsilon_evaluation: that of mode ``sample``, float32 scalar.
        adaptation: of the replay ratio; ``()`` where that is fixed.
    """

    params: Any
    target: Any
    optimiser: Any
    steps: Int[Array, ""]
    since: Int[Array, ""]
    epsilon: Float[Array, ""]
    epsilon_evaluation: Float[Array, ""]
    adaptation: Any = ()


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


def targets_of(parts: Parts, key: Array, state: RainbowState, window: Window, step: NStep) -> Targets:
    """Of a batch of windows, each by its n-step return."""
    config = parts.config
    keys = jax.random.split(key, 6)
    after = observation(parts.layout, window, step.offset)

    def of_successor(params: Any, keys: tuple[Array, Array]) -> Array:
        images = _changed(parts, keys[0], after)
        key_encode, key_head = jax.random.split(keys[1])
        features = parts.call(ActionValues.encode, params, images, True, key=key_encode)
        return parts.call(ActionValues.values, params, features, True, key=key_head)[0]

    logits = of_successor(state.target, (keys[0], keys[1]))
    choice = of_successor(state.params, (keys[2], keys[3])) if config.double else logits
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
        ActionValues.encode, state.target, _changed(parts, key_change, came), True, key=key_encode
    )
    projections = parts.call(ActionValues.project, state.target, features)
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
    metrics = {"q_mean": parts.mean(own).mean()}
    if config.atoms == 1:
        off = jnp.abs(own[:, 0] - targets.returns[:, 0])
        small = jnp.minimum(off, 1.0) if config.loss == "huber" else off
        error = surprise = 0.5 * jnp.square(small) + (off - small)
        metrics["td_error"] = off.mean()
    else:
        error = cross_entropy(targets.returns, own)
        surprise = error - entropy(targets.returns) if config.priority == "kl" else error
    metrics |= {
        "value_loss": error.mean(),
        "active_units": (units > 0).mean(dtype=jnp.float32),
        "dormant_units": dormant(units),
    }
    total = error
    if config.predicted:
        predicted = []
        for k in range(config.predicted):
            features = parts.call(ActionValues.ahead, params, features, window.action[:, k])
            predicted.append(parts.call(ActionValues.predict, params, features))
        missed = self_prediction(jnp.stack(predicted), targets.projections, targets.belongs)
        metrics["prediction_loss"] = missed.mean()
        total = error + coef * missed
    # Selected, not multiplied: what is not known may be no number.
    total = jnp.where(weight > 0, weight * total, 0.0).mean()
    return total, (jax.lax.stop_gradient(surprise), metrics)


def dormant(units: Float[Array, "B H"]) -> Float[Array, ""]:
    """Share of the units that do next to nothing, on average less than a fortieth of the layer's mean (Sokar et al. 2023)."""
    score = jnp.abs(units).mean(0)
    return (score <= 0.025 * score.mean()).mean(dtype=jnp.float32)


def _importance(parts: Parts, drawn: Drawn, known: Array, many: Array, power: Array) -> Float[Array, " B"]:
    """Importance weights, the highest of the batch 1; 0 of what says nothing."""
    if not parts.config.prioritised:
        return known.astype(jnp.float32)
    weight = (jnp.maximum(drawn.probability, 1e-12) * many) ** -power
    weight = jnp.where(known, weight, 0.0)
    return weight / jnp.maximum(weight.max(), 1e-12)


class Scheduled(NamedTuple):
    """What the clock says of one update's gradient steps, float32 scalars.

    Attributes:
        learning_rate: step size.
        importance: power of the importance weights.
        left: gradient steps that follow this update.
    """

    learning_rate: Array
    importance: Array
    left: Array


def gradient_step(
    parts: Parts,
    state: RainbowState,
    key: Array,
    store: Replay,
    hp: RainbowHyperparameters,
    now: Scheduled,
) -> tuple[RainbowState, Any, dict[str, Array]]:
    """The state after one step, the buffer's priorities, and metrics."""
    config = parts.config
    key_draw, key_targets, key_loss, key_reset = jax.random.split(key, 4)
    drawn = draw(parts.layout, key_draw, store, config.batch)
    length, gamma = horizon_of_returns(hp, state.since)
    step = n_step(drawn.window, length, gamma, config.legacy_bootstrap_offset)
    weight = _importance(parts, drawn, step.known, starts(parts.layout, store), now.importance)
    # Before the step, so that a network which is copied each time stands for what drew the batch.
    rate = jnp.where(state.steps % config.target_period == 0, hp.target_rate, 0.0)
    mixed = lambda old, new: jnp.where(rate == 1.0, new, old + rate * (new - old))
    state = replace(state, target=jax.tree.map(mixed, state.target, state.params))
    targets = jax.lax.stop_gradient(targets_of(parts, key_targets, state, drawn.window, step))
    loss = lambda params: loss_of(
        parts, key_loss, params, drawn.window, targets, weight, jnp.asarray(hp.prediction_coef)
    )
    (total, (surprise, metrics)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    params, optimiser, size = _stepped(state, gradient, hp, now.learning_rate)
    after = replace(state, params=params, optimiser=optimiser, steps=state.steps + 1, since=state.since + 1)
    metrics = {"loss": total, "grad_norm": size, **metrics}
    priorities = store.priorities
    if config.prioritised:
        base = jnp.clip(surprise, 1e-6, 1e6) if config.priority == "kl" else surprise + 1e-10
        # Where the loss is no number, neither is this, and the old priority stays.
        priority = jnp.where(jnp.isfinite(surprise), base, jnp.nan) ** hp.priority_exponent
        priorities = set_places(priorities, drawn.place, priority)
    if config.reset_every:
        after = _reset(parts, key_reset, after, hp, now.left)
    return after, priorities, metrics


def _group(name: str) -> str:
    """The part of the network whose gradient is clipped by itself; the predictor's is not at all."""
    return name if name in ("transition", "predictor") else "values"


def _stepped(
    state: RainbowState, gradient: Any, hp: RainbowHyperparameters, learning_rate: Array
) -> tuple[Any, Any, Float[Array, ""]]:
    """Parameters and optimiser after a step of AdamW, and the gradient's norm before it was clipped."""
    own = gradient["params"]
    sizes: dict[str, Array] = {}
    for group in sorted({_group(name) for name in own}):
        sizes[group] = norm(ravel_pytree({n: own[n] for n in sorted(own) if _group(n) == group})[0])
    limit = {
        group: jnp.minimum(1.0, hp.max_grad_norm / jnp.maximum(size, 1e-30)) for group, size in sizes.items()
    }
    limit["predictor"] = jnp.ones((), jnp.float32)
    cut = {
        name: jax.tree.map(lambda g, name=name: g * limit[_group(name)], tree) for name, tree in own.items()
    }
    flat, unravel = ravel_pytree({"params": cut})
    move, _, optimiser = clipped_step("adam", state.optimiser, flat, learning_rate, None, hp.adam_eps)
    decay = learning_rate * hp.weight_decay
    params = jax.tree.map(
        lambda p, m: p + m - (decay * p if p.ndim > 1 else 0.0), state.params, unravel(move)
    )
    return params, optimiser, norm(jnp.stack(list(sizes.values())))


def _reset(
    parts: Parts, key: Array, state: RainbowState, hp: RainbowHyperparameters, left: Array
) -> RainbowState:
    """Where one is due, and as many gradient steps are left as lie between two: encoder and transition model moved towards fresh ones, all else fresh (D'Oro et al. 2023).

    The network and the target network by different draws. The optimiser begins anew; what was stored stays.
    """

    def fresh(state: RainbowState) -> RainbowState:
        def mixed(params: Any, key: Array) -> Any:
            new, found = parts.fresh(key)["params"], {}
            for name, tree in params["params"].items():
                kept = hp.kept if name in ("encoder", "transition") else 0.0
                found[name] = jax.tree.map(partial(_between, kept), tree, new[name])
            return {"params": found}

        key_params, key_target = jax.random.split(key)
        return replace(
            state,
            params=mixed(state.params, key_params),
            target=mixed(state.target, key_target),
            optimiser=jax.tree.map(jnp.zeros_like, state.optimiser),
            since=jnp.zeros_like(state.since),
        )

    due = (state.since >= parts.config.reset_every) & (left >= parts.config.reset_every)
    # A loop of one turn or none: where runs are vmapped, a branch would be computed at every step.
    return jax.lax.while_loop(
        lambda carry: carry[0], lambda carry: (jnp.zeros_like(carry[0]), fresh(carry[1])), (due, state)
    )[1]


def _between(kept: Array | float, old: Array, new: Array) -> Array:
    return kept * old + (1.0 - kept) * new
