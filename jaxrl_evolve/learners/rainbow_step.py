"""One gradient step of an agent that learns action values from replay: draw, learn, set priorities, reset."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.fusion import only_where
from jaxrl_evolve.experience.n_step import n_step
from jaxrl_evolve.experience.priorities import set_places
from jaxrl_evolve.experience.replay import Drawn, Replay, Window, draw, starts
from jaxrl_evolve.learners.optimiser import clipped_step, norm
from jaxrl_evolve.learners.rainbow_config import RainbowHyperparameters
from jaxrl_evolve.learners.rainbow_loss import Parts, horizon_of_returns, loss_of, targets_of


@struct.dataclass
class RainbowState:
    """State of the learner.

    Attributes:
        params: of the network.
        target: parameters of the target network.
        optimiser: state of `clipped_step`.
        steps: gradient steps made, int32 scalar.
        since: gradient steps since the start or the last reset, int32 scalar.
        epsilon: probability of a random action in the next rollout, float32 scalar.
        epsilon_evaluation: that of mode ``sample``, float32 scalar.
        sound: whether every gradient step was, bool scalar; where one was not, it was not made, and none is any more.
        adaptation: of the replay ratio; ``()`` where that is fixed.
    """

    params: Any
    target: Any
    optimiser: Any
    steps: Int[Array, ""]
    since: Int[Array, ""]
    epsilon: Float[Array, ""]
    epsilon_evaluation: Float[Array, ""]
    sound: Bool[Array, ""]
    adaptation: Any = ()


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
        planned: gradient steps of the whole run, those that were made among them.
    """

    learning_rate: Array
    importance: Array
    left: Array
    planned: Array


LONGEST = 1e18
"""Step size, or what it is with the decay of weights, from which on no step is made: the square root of the largest float32."""


class Steps(NamedTuple):
    """Gradient steps that were made. Not the store: where runs are vmapped, all of this is copied at each of them.

    Attributes:
        made: how many, int32 scalar.
        state: after them.
        priorities: the buffer's.
        sums: of their metrics.
    """

    made: Array
    state: RainbowState
    priorities: Any
    sums: dict[str, Array]


def gradient_steps(
    parts: Parts,
    state: RainbowState,
    key: Array,
    store: Replay,
    hp: RainbowHyperparameters,
    now: Scheduled,
    steps: Array,
) -> Steps:
    """So many steps, or up to and with the first that is not sound."""

    def one(priorities: Any, state: RainbowState, key: Array) -> tuple[RainbowState, Any, dict[str, Array]]:
        return _gradient_step(parts, state, key, replace(store, priorities=priorities), hp, now)

    def body(so_far: Steps) -> Steps:
        key_step = jax.random.fold_in(key, so_far.made)
        state, priorities, metrics = one(so_far.priorities, so_far.state, key_step)
        return Steps(so_far.made + 1, state, priorities, jax.tree.map(jnp.add, so_far.sums, metrics))

    shapes = jax.eval_shape(one, store.priorities, state, key)[2]
    zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in shapes.items()}
    start = Steps(jnp.zeros((), jnp.int32), state, store.priorities, zeros)
    return jax.lax.while_loop(lambda so_far: (so_far.made < steps) & so_far.state.sound, body, start)


def _gradient_step(
    parts: Parts,
    state: RainbowState,
    key: Array,
    store: Replay,
    hp: RainbowHyperparameters,
    now: Scheduled,
) -> tuple[RainbowState, Any, dict[str, Array]]:
    """The state after one step, the buffer's priorities, and metrics.

    A step whose loss or gradient is no number is not made: the state is that of before but for `RainbowState.sound`, and the metric ``loss`` is NaN.
    """
    config = parts.config
    key_draw, key_targets, key_loss, key_reset = jax.random.split(key, 4)
    drawn = draw(parts.layout, key_draw, store, config.batch)
    length, gamma = horizon_of_returns(hp, state.since)
    step = n_step(drawn.window, length, gamma, config.legacy_bootstrap_offset)
    weight = _importance(parts, drawn, step.known, starts(parts.layout, store), now.importance)
    # Before the step, so that a network which is copied each time stands for what drew the batch.
    state = replace(state, target=_followed(parts, state, hp.target_rate))
    targets = jax.lax.stop_gradient(
        targets_of(parts, key_targets, state.params, state.target, drawn.window, step)
    )
    loss = lambda params: loss_of(
        parts, key_loss, params, drawn.window, targets, weight, jnp.asarray(hp.prediction_coef)
    )
    (total, (surprise, metrics)), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
    params, optimiser, size = _stepped(state, gradient, hp, now.learning_rate)
    # Known before the step is made: chosen in the kernel that makes it, where the old numbers are read anyway.
    # A step of finite moments is at most some ten step sizes long, and with this bound the next loss says it before a parameter is beyond all numbers.
    bounded = now.learning_rate * jnp.maximum(1.0, hp.weight_decay) < LONGEST
    sound = jnp.isfinite(total) & jnp.isfinite(size) & bounded
    params, optimiser = jax.tree.map(
        partial(jnp.where, sound), (params, optimiser), (state.params, state.optimiser)
    )
    after = replace(
        state,
        params=params,
        optimiser=optimiser,
        steps=state.steps + sound,
        since=state.since + sound,
        sound=sound,
    )
    metrics = {"loss": jnp.where(sound, total, jnp.nan), "grad_norm": size, **metrics}
    priorities = store.priorities
    if config.prioritised:
        base = jnp.clip(surprise, 1e-6, 1e6) if config.priority == "kl" else surprise + 1e-10
        # Where the loss is no number, neither is this, and the old priority stays.
        priority = jnp.where(jnp.isfinite(surprise), base, jnp.nan) ** hp.priority_exponent
        # What can teach nothing any more would keep the priority of what was never learned from, and be drawn again and again.
        priority = jnp.where(_lost(parts, drawn.window, hp), 0.0, priority)
        priorities = set_places(priorities, drawn.place, priority)
    if config.reset_every:
        due = reset_due(config.reset_every, after.steps, after.since, now.left, now.planned) & sound
        after = _reset(parts, key_reset, after, hp, due)
    return after, priorities, metrics


def _lost(parts: Parts, window: Window, hp: RainbowHyperparameters) -> Bool[Array, " B"]:
    """Which windows no return of the run will ever say anything of: even the shortest goes beyond a time limit whose successor is gone."""
    start = jnp.where(hp.anneal > 0, hp.steps_start, hp.steps)
    shortest = jnp.round(jnp.minimum(hp.steps, start)) - parts.config.legacy_bootstrap_offset
    return ~window.known & (window.ended.argmax(1) < shortest)


def _followed(parts: Parts, state: RainbowState, rate: Array | float) -> Any:
    """The target network's parameters, moved towards those that are learned in every `target_period`-th step."""
    mixed = lambda old, new: jnp.where(rate == 1.0, new, old + rate * (new - old))
    follow = lambda target: jax.tree.map(mixed, target, state.params)
    if (period := parts.config.target_period) == 1:
        return follow(state.target)
    return only_where(state.steps % period == 0, follow, state.target)


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
        sizes[group] = norm({name: tree for name, tree in own.items() if _group(name) == group})
    limit = {
        group: jnp.minimum(1.0, hp.max_grad_norm / jnp.maximum(size, 1e-30)) for group, size in sizes.items()
    }
    limit["predictor"] = jnp.ones((), jnp.float32)
    cut = {
        name: jax.tree.map(lambda g, name=name: g * limit[_group(name)], tree) for name, tree in own.items()
    }
    move, _, optimiser = clipped_step(
        "adam", state.optimiser, {"params": cut}, learning_rate, None, hp.adam_eps
    )
    decay = learning_rate * hp.weight_decay
    params = jax.tree.map(lambda p, m: p + m - (decay * p if p.ndim > 1 else 0.0), state.params, move)
    return params, optimiser, norm(jnp.stack(list(sizes.values())))


def reset_due(
    every: int,
    steps: Int[Array, ""] | int,
    since: Int[Array, ""] | int,
    left: Float[Array, ""] | float,
    planned: Float[Array, ""] | float,
) -> Bool[Array, ""]:
    """Whether a reset follows a gradient step: ``every`` of them after the last reset, if as many are left.

    Published resets (D'Oro et al. 2023, BBF's code) are counted in environment steps with those of the warm-up, in which nothing is learned: the first
    stretch is shorter, and as many as ``every`` gradient steps follow the last reset. So the first one here has what the whole stretches leave of
    ``planned``; less than half a stretch is none of its own.

    Args:
        every: gradient steps between two resets.
        steps: gradient steps made.
        since: of those, since the start or the last reset.
        left: gradient steps that follow.
        planned: gradient steps of the whole run.
    """
    rest = jnp.mod(planned, every)
    first = (jnp.asarray(steps) == since) & (2 * rest >= every)
    return (since >= jnp.where(first, rest, every)) & (left >= every)


def _reset(
    parts: Parts, key: Array, state: RainbowState, hp: RainbowHyperparameters, due: Bool[Array, ""]
) -> RainbowState:
    """Where it is due: encoder and transition model moved towards fresh ones, all else fresh (D'Oro et al. 2023).

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

    return only_where(due, fresh, state)


def _between(kept: Array | float, old: Array, new: Array) -> Array:
    return kept * old + (1.0 - kept) * new
