"""Agents that learn action values from a replay buffer: DQN, Rainbow, DER, DrQ, SPR, SR-SPR, BBF as settings of one.

One update: a rollout goes into the buffer, then ``gradient_steps`` times windows are drawn, the network makes a step on the
error of its ``n``-step returns, expected (Mnih et al. 2015) or as distributions (Hessel et al. 2018), and, where it predicts, on
how far its predicted features are from those that came (Schwarzer et al. 2021), and the priorities of the windows are set anew.
Returns bootstrap from the true successor wherever the task did not end, at a time limit too. Nothing is learned before the
warm-up is over, and nothing computed: a loop that makes no step costs nothing, also where runs are vmapped. The exploration
rate follows the clock, so the training horizon stays data: `update` leaves in the state the rate that the next rollout acts by.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.spaces import Box, Discrete, Space
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.augmentation import check_intensity, check_shift
from jaxrl_evolve.experience.layout import Layout, check_batch
from jaxrl_evolve.experience.replay import Replay, add, draw, init_replay, observation, starts
from jaxrl_evolve.learners.exploration import epsilon_greedy, falling_epsilon
from jaxrl_evolve.learners.learner import Learner, Mode, Store
from jaxrl_evolve.learners.optimiser import init_optimiser, norm
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.learners.rainbow_loss import Parts, horizon_of_returns
from jaxrl_evolve.learners.rainbow_step import RainbowState, Scheduled, gradient_steps
from jaxrl_evolve.learners.replay_ratio import adapted, init_adaptation
from jaxrl_evolve.networks.action_values import ActionValues, check_action_values, scaled
from jaxrl_evolve.networks.network import no_memory
from jaxrl_evolve.objectives.objective import AnyObjective, no_parameters
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


class _Actor(NamedTuple):
    """Of a `RainbowState`, what acting reads."""

    params: Any
    epsilon: Array
    epsilon_evaluation: Array


def epsilon_after(
    config: RainbowConfig, hp: RainbowHyperparameters, steps: Array | float, horizon: Array | float
) -> Float[Array, ""]:
    """Probability of a random action once so many environment steps of the horizon have been made."""
    done = (jnp.asarray(steps, jnp.float32) - config.warm_up) / horizon
    return falling_epsilon(hp.epsilon_start, hp.epsilon_end, hp.exploration, done)


def _init(parts: Parts, key: Array, hp: RainbowHyperparameters) -> RainbowState:
    params = parts.fresh(key)
    zero = lambda dtype: jnp.zeros((), dtype)
    adaptation = init_adaptation() if parts.config.gradient_steps_at_first else ()
    return RainbowState(
        params,
        # Another array of the same numbers: the state is donated, and no buffer can be twice.
        jax.tree.map(jnp.copy, params),
        init_optimiser("adam", params),
        zero(jnp.int32),
        zero(jnp.int32),
        epsilon_after(parts.config, hp, 0.0, 1.0),
        jnp.array(hp.epsilon_evaluation, jnp.float32),
        jnp.ones((), bool),
        adaptation,
    )


def _adopt(state: RainbowState, other: RainbowState) -> RainbowState:
    return replace(state, params=other.params, target=other.target)


def _actor(parts: Parts, state: RainbowState) -> _Actor:
    params = state.target if parts.config.act_by_target else state.params
    return _Actor(params, state.epsilon, state.epsilon_evaluation)


def _act(
    parts: Parts,
    actor: _Actor,
    obs: Any,
    first: Array,
    memory: Any,
    key: Array,
    mode: Mode = "explore",
) -> tuple[Int[Array, " N"], Any, PolicyOutput]:
    del first
    key_noise, *keys = jax.random.split(key, 3)
    noise = mode == "explore" and parts.config.network.noisy
    features = parts.call(ActionValues.encode, actor.params, scaled(parts.space, obs))
    logits, _ = parts.call(
        ActionValues.values, actor.params, features, noise, key=key_noise if noise else None
    )
    greedy = parts.mean(logits).argmax(-1).astype(jnp.int32)
    if mode == "greedy":
        return greedy, memory, PolicyOutput(jnp.zeros(greedy.shape, jnp.float32))
    epsilon = actor.epsilon if mode == "explore" else actor.epsilon_evaluation
    return epsilon_greedy(jnp.stack(keys), greedy, epsilon, parts.network.actions, memory)


def _update(
    parts: Parts,
    key: Array,
    state: RainbowState,
    trajectory: Trajectory,
    hp: RainbowHyperparameters,
    eta: Any,
    clock: Clock,
    store: Replay,
) -> tuple[RainbowState, dict[str, Array], Replay]:
    del eta
    config = parts.config
    done = clock.step + parts.steps_per_update
    ready = (done >= config.warm_up) & (starts(parts.layout, store) > 0)
    share = jnp.clip((done - config.warm_up) / jnp.maximum(clock.horizon - config.warm_up, 1.0), 0.0, 1.0)
    importance = hp.importance_start + share * (hp.importance_end - hp.importance_start)
    learning_rate = jnp.asarray(linear_schedule(clock, hp.learning_rate, hp.learning_rate_end), jnp.float32)
    left = (clock.horizon - done) / parts.steps_per_update * config.gradient_steps
    steps: Array | int = config.gradient_steps
    if config.gradient_steps_at_first:
        steps = jnp.where(state.adaptation.raised, steps, config.gradient_steps_at_first)
    steps = jnp.where(ready, steps, 0)
    now = Scheduled(learning_rate, jnp.asarray(importance, jnp.float32), left, state.steps + steps + left)
    through = gradient_steps(parts, state, key, store, hp, now, steps)
    made, learned, sums = through.made, through.state, through.sums
    metrics = {name: total / jnp.maximum(made, 1) for name, total in sums.items()}
    learned = replace(learned, sound=learned.sound & jnp.isfinite(metrics["loss"]))
    n, gamma = horizon_of_returns(hp, learned.since)
    metrics |= {
        "epsilon": state.epsilon,
        "learning_rate": learning_rate,
        "replay_fill": store.filled.astype(jnp.float32) / store.reward.shape[0],
        "n_step": n.astype(jnp.float32),
        "gamma": gamma,
        "gradient_steps": made.astype(jnp.float32),
    }
    if config.diagnostics:
        metrics |= _diagnosed(parts, key, state, learned, store)
    if config.gradient_steps_at_first:
        active, looks = sums["active_units"], (hp.adapt_every, hp.adapt_tolerance)
        adaptation = adapted(state.adaptation, active, made, trajectory, *looks)
        learned = replace(learned, adaptation=adaptation)
    learned = replace(
        learned,
        epsilon=jnp.where(learned.sound, epsilon_after(config, hp, done, clock.horizon), state.epsilon),
        epsilon_evaluation=jnp.asarray(hp.epsilon_evaluation, jnp.float32),
    )
    return learned, metrics, replace(store, priorities=through.priorities)


def _diagnosed(
    parts: Parts, key: Array, before: RainbowState, after: RainbowState, store: Replay
) -> dict[str, Array]:
    """Of a batch of what is stored: how many directions its features have, how often an update changed the greedy action, and values.

    The rank is the participation ratio of the eigenvalues of the features' products, ``(sum x)^2 / sum x^2``: products of
    matrices alone, where a decomposition of many at once may wait for itself for ever on a CPU.
    """
    drawn = draw(
        parts.layout, jax.random.fold_in(key, parts.config.gradient_steps), store, parts.config.batch
    )
    images = scaled(parts.space, observation(parts.layout, drawn.window, 0))

    def seen(params: Any) -> tuple[Array, Array]:
        features = parts.call(ActionValues.encode, params, images)
        logits, units = parts.call(ActionValues.values, params, features, False)
        return parts.mean(logits), units

    old, _ = seen(before.params)
    new, units = seen(after.params)
    best = new.max(-1)
    gram = units @ units.T if units.shape[0] <= units.shape[1] else units.T @ units
    return {
        "feature_rank": jnp.square(jnp.trace(gram)) / jnp.maximum(jnp.square(gram).sum(), 1e-12),
        "churn": (old.argmax(-1) != new.argmax(-1)).mean(dtype=jnp.float32),
        "q_highest": best.max(),
        "q_gap": (best - new.mean(-1)).mean(),
        "weight_norm": norm(after.params),
    }


def _add(config: RainbowConfig, layout: Layout, store: Replay, trajectory: Trajectory) -> Replay:
    new = store.priorities.highest if config.prioritised and config.new_priority == "highest" else 1.0
    return add(layout, store, trajectory, new)


def rainbow(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: RainbowConfig | None = None,
    hp: RainbowHyperparameters | None = None,
    objective: AnyObjective | None = None,
) -> Learner:
    """An agent that learns action values from replay.

    Args:
        env: read for its spaces, and for how observations are stacked.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings; by themselves those of DQN.
        hp: default hyperparameters.
        objective: must be None; it has a loss of its own.

    Raises:
        ValueError: a setting is not allowed, an objective is given, actions are not discrete, or the network can't
            read the observations.
    """
    config = RainbowConfig() if config is None else config
    hp = RainbowHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if objective is not None:
        raise ValueError(f"objective is {objective.name!r}; this learner has a loss of its own")
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space is {env.action_space}; this learner takes Discrete actions only")
    _check_images(config, env.observation_space)
    check_action_values(config.network, env.observation_space)
    check_shift(config.shift, env.observation_space.shape)
    check_intensity(config.intensity, env.observation_space, env.name)
    _check_steps(config, hp)
    ahead, levels = max(config.longest, config.predicted), _levels(config, env.observation_space)
    layout = Layout(ahead, env.stack, config.prioritised, levels)
    network = ActionValues(config.network, env.action_space.n, config.atoms, config.predicted > 0)
    parts = Parts(config, env.observation_space, network, layout, num_envs * rollout_length)
    check_batch(layout, config.capacity, config.warm_up, config.batch, num_envs, rollout_length)
    store = Store(
        lambda example: init_replay(layout, example, config.capacity), partial(_add, config, layout)
    )
    return Learner(
        name="rainbow",
        init=partial(_init, parts),
        actor=partial(_actor, parts),
        act=partial(_act, parts),
        update=partial(_update, parts),
        initial_memory=no_memory,
        init_objective=no_parameters,
        default_hp=hp,
        store=store,
        adopt=_adopt,
        guards=True,
    )


def _levels(config: RainbowConfig, space: Space) -> tuple[float, float] | None:
    """Between which numbers the buffer has its levels, or None if it keeps observations as they are."""
    if not config.store_bytes or space.dtype.itemsize == 1:
        return None
    if (
        not isinstance(space, Box)
        or isinstance(space.low, tuple)
        or isinstance(space.high, tuple)
        or not space.bounded
    ):
        raise ValueError(
            f"learner.store_bytes needs observations between one lowest and one highest number; the space is {space}"
        )
    return float(space.low), float(space.high)


def _check_images(config: RainbowConfig, space: Space) -> None:
    """Refuse what is of images only where there are none; another encoder would be no remedy."""
    of_images = {"shift": config.shift, "intensity": config.intensity, "predicted": config.predicted}
    asked = [f"{name} is {value}" for name, value in of_images.items() if value]
    if asked and len(space.shape) != 3:
        raise ValueError(
            f"{' and '.join(asked)}, of images [height, width, channels], but observations have shape {space.shape}; they must be 0, as "
            "those of the agents dqn, rainbow, der and otrainbow are"
        )


def _check_steps(config: RainbowConfig, hp: RainbowHyperparameters) -> None:
    """Refuse returns of more steps than a window holds; a number that is traced may be any."""
    known = lambda value: not isinstance(value, Tracer)
    anneals = not known(hp.anneal) or hp.anneal > 0
    for name in ("steps", "steps_start") if anneals else ("steps",):
        value: Any = getattr(hp, name)
        if known(value) and np.any(np.asarray(value) > config.longest):
            raise ValueError(
                f"hp.{name} is {float(np.max(value))}; it must be at most learner.longest ({config.longest})"
            )
