"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905): a policy as random as its rewards allow, from replay.

Two critics against overestimation, of which the lower counts; a temperature that is learned for a given entropy; squashed
actions within the bounds of their space. One update: the rollout into the buffer, then ``gradient_steps`` of critics,
policy and temperature once the warm-up is over. Time limits bootstrap from the true successor.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrl_envs.contract import Env
from jaxrl_envs.spaces import Discrete
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.experience.layout import Layout, check_batch
from jaxrl_evolve.experience.normalisation import RunningMoments
from jaxrl_evolve.experience.relabelling import Relabel, Relabelled
from jaxrl_evolve.experience.replay import Replay, add, init_replay, starts
from jaxrl_evolve.learners.learner import Learner, Mode, Store
from jaxrl_evolve.learners.optimiser import init_optimiser
from jaxrl_evolve.learners.reference import Anchor, Reference, follow
from jaxrl_evolve.learners.sac_config import SACConfig, SACHyperparameters
from jaxrl_evolve.learners.sac_step import Parts, SACState, gradient_step
from jaxrl_evolve.networks.action_values import scaled
from jaxrl_evolve.networks.network import no_memory
from jaxrl_evolve.networks.soft_actor_critic import Critics, SquashedPolicy
from jaxrl_evolve.objectives.objective import AnyObjective, no_parameters
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


class _Actor(NamedTuple):
    """Of a `SACState`, what acting reads."""

    policy: Any
    observations: Any
    uniform: Array


def _init(parts: Parts, key: Array, hp: SACHyperparameters) -> SACState:
    key_policy, key_critics = jax.random.split(key)
    raw = scaled(parts.space, jnp.zeros((1, *parts.space.shape), parts.space.dtype)).reshape((1, -1))
    policy = parts.policy.init(key_policy, raw)
    critics = parts.critics.init(key_critics, raw, jnp.zeros((1, parts.policy.elements), jnp.float32))
    log_temperature = jnp.log(jnp.full((1,), hp.temperature, jnp.float32))
    moments = RunningMoments.of_shape(raw.shape[1:]) if parts.config.normalise_observations else ()
    begun = partial(init_optimiser, "adam")
    return SACState(
        policy,
        critics,
        # Another array of the same numbers: the state is donated, and no buffer can be twice.
        jax.tree.map(jnp.copy, critics),
        log_temperature,
        (begun(policy), begun(critics), begun(log_temperature)),
        moments,
        jnp.zeros((), jnp.int32),
        jnp.asarray(parts.config.warm_up > 0, jnp.float32),
        () if parts.anchor is None else Reference.of(policy),
    )


def _act(
    parts: Parts,
    actor: _Actor,
    obs: Any,
    first: Array,
    memory: Any,
    key: Array,
    mode: Mode = "explore",
) -> tuple[Float[Array, "N ..."], Any, PolicyOutput]:
    del first
    key_policy, key_uniform = jax.random.split(key)
    found = parts.acting(actor.policy, parts.seen(actor.observations, obs))
    middle, half = parts.affine

    def within(action: Array) -> Array:
        return jnp.reshape(middle + half * action, (-1, *parts.actions.shape))

    if mode == "greedy":
        action = found.mode()
        return within(action), memory, PolicyOutput(jnp.zeros(action.shape[:1], jnp.float32))
    action, log_prob = found.sample_and_log_prob(key_policy)
    if mode == "explore":
        drawn = jax.random.uniform(key_uniform, action.shape, jnp.float32, -1.0, 1.0)
        action = jnp.where(actor.uniform > 0, drawn, action)
        log_prob = jnp.where(actor.uniform > 0, -parts.policy.elements * np.log(2.0), log_prob)
    density = jnp.asarray(log_prob - np.log(half).sum(), jnp.float32)  # of the stretched action
    return within(action), memory, PolicyOutput(density)


class _Carry(NamedTuple):
    """Between two gradient steps. Not the store: where runs are vmapped, all of this is copied at each."""

    state: SACState
    sums: dict[str, Array]


def _update(
    parts: Parts,
    key: Array,
    state: SACState,
    trajectory: Trajectory,
    hp: SACHyperparameters,
    eta: Any,
    clock: Clock,
    store: Replay | Relabelled,
) -> tuple[SACState, dict[str, Array], Any]:
    del eta
    config = parts.config
    replay, ready = (store.replay, store.ready) if isinstance(store, Relabelled) else (store, True)
    done = clock.step + parts.steps_per_update
    warm = done >= config.warm_up
    decay = jnp.asarray(linear_schedule(clock, 1.0, hp.learning_rate_end), jnp.float32)
    if parts.anchor is not None:
        # The first policy is the one that learns first, which may have started from trained weights.
        first = jax.tree.map(partial(jnp.where, state.steps == 0), state.policy, state.reference.actor)
        state = replace(state, reference=replace(state.reference, actor=first))
    one = lambda state, key: gradient_step(parts, state, key, store, hp, decay)

    def body(i: Array, carry: _Carry) -> _Carry:
        after, metrics = one(carry.state, jax.random.fold_in(key, i))
        return _Carry(after, jax.tree.map(jnp.add, carry.sums, metrics))

    shapes = jax.eval_shape(one, state, key)[1]
    zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in shapes.items()}
    steps = jnp.where(warm & ready & (starts(parts.layout, replay) > 0), config.gradient_steps, 0)
    learned, sums = jax.lax.fori_loop(0, steps, body, _Carry(state, zeros))
    metrics = {name: total / jnp.maximum(steps, 1) for name, total in sums.items()}
    metrics |= {
        "temperature": jnp.exp(learned.log_temperature[0]),
        "learning_rate": decay * hp.learning_rate,
        "replay_fill": replay.filled.astype(jnp.float32) / replay.reward.shape[0],
        "gradient_steps": steps.astype(jnp.float32),
    }
    if (held := parts.anchor) is not None:
        made = learned.steps // config.gradient_steps
        reference = follow(held.kind, state.reference, learned.policy, held.rate(hp), held.every, made, clock)
        learned = replace(learned, reference=reference)
    if config.normalise_observations:
        raw = scaled(parts.space, trajectory.obs)
        raw = raw.reshape((*trajectory.reward.shape, -1))
        learned = replace(learned, observations=learned.observations.merge(raw))
    return replace(learned, uniform=jnp.asarray(~warm, jnp.float32)), metrics, store


def _adopt(state: SACState, other: SACState) -> SACState:
    return replace(
        state,
        policy=other.policy,
        critics=other.critics,
        target=other.target,
        log_temperature=other.log_temperature,
        observations=other.observations,
    )


def sac(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: SACConfig | None = None,
    hp: SACHyperparameters | None = None,
    objective: AnyObjective | None = None,
    relabel: Relabel | None = None,
    anchor: Anchor | None = None,
) -> Learner:
    """A SAC learner.

    Args:
        env: read for its spaces, and for how observations are stacked. Observations of any shape are flattened.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: must be None; SAC has losses of its own.
        relabel: what tells rewards when they are learned from; the learner's update then takes a `Relabelled` for its store.
        anchor: a policy of before that the policy keeps near.

    Raises:
        ValueError: a setting is not allowed, an objective is given, or actions are no numbers between finite bounds.
    """
    config = SACConfig() if config is None else config
    hp = SACHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if objective is not None:
        raise ValueError(f"objective is {objective.name!r}; SAC has losses of its own")
    space = env.action_space
    if isinstance(space, Discrete) or not space.bounded or (space.bound("low") >= space.bound("high")).any():
        raise ValueError(f"action_space is {space}; SAC takes actions between finite bounds only (a Box)")
    layout = Layout(1, env.stack)
    check_batch(layout, config.capacity, config.warm_up, config.batch, num_envs, rollout_length)
    parts = Parts(
        config,
        env.observation_space,
        space,
        SquashedPolicy(int(np.prod(space.shape)), config.hidden, config.activation),
        Critics(config.hidden, config.activation, config.layer_norm),
        layout,
        num_envs * rollout_length,
        relabel,
        anchor,
    )
    return Learner(
        name="sac",
        init=partial(_init, parts),
        actor=lambda state: _Actor(state.policy, state.observations, state.uniform),
        act=partial(_act, parts),
        update=partial(_update, parts),
        initial_memory=no_memory,
        init_objective=no_parameters,
        default_hp=hp,
        store=Store(lambda example: init_replay(layout, example, config.capacity), partial(add, layout)),
        adopt=_adopt,
    )
