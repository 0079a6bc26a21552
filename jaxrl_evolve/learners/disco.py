"""Agents that learn by a Disco rule (Oh et al. 2025), from rollouts of their own.

One update: both of the agent's networks (the present one, and the target network that follows it) read the
rollout, the rule says what policy and predictions should have been, and one gradient step moves them there. The
rule's own state is part of the agent's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve.clock import Clock, linear_schedule
from jaxrl_evolve.learners.disco_config import DiscoAgentConfig, DiscoHyperparameters
from jaxrl_evolve.learners.disco_network import DiscoNetwork
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.layers import check_encoder
from jaxrl_evolve.networks.network import no_memory
from jaxrl_evolve.objectives.disco import AgentOutputs, DiscoBatch, DiscoRule, RuleState
from jaxrl_evolve.objectives.objective import AnyObjective, RuleObjective
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory


@struct.dataclass
class DiscoState:
    """State of a Disco agent.

    Attributes:
        params: of its network.
        target: parameters of the target network.
        optimiser: state of `clipped_step` over the raveled parameters.
        rule: what the rule remembers of this life.
    """

    params: Any
    target: Any
    optimiser: Any
    rule: RuleState


class _Parts(NamedTuple):
    """What the functions of one agent read, all static.

    Attributes:
        config: static settings.
        observation_space: of one observation.
        network: the agent's.
        rule: what it learns by.
    """

    config: DiscoAgentConfig
    observation_space: Space
    network: DiscoNetwork
    rule: DiscoRule


def disco_agent(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: DiscoAgentConfig | None = None,
    hp: DiscoHyperparameters | None = None,
    objective: AnyObjective | None = None,
) -> Learner:
    """A learner whose update rule is the objective's.

    Args:
        env: read for its spaces only.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: one with a rule, of `jaxrl_evolve.objectives.disco.disco`.

    Raises:
        ValueError: a setting is not allowed, the objective has no such rule, actions are not discrete, or the
            network can't read the observations.
    """
    del num_envs, rollout_length  # the rule serves rollouts of any shape
    config = DiscoAgentConfig() if config is None else config
    hp = DiscoHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if not isinstance(objective, RuleObjective) or not isinstance(objective.rule, DiscoRule):
        named = "none" if objective is None else repr(objective.name)
        raise ValueError(
            f"objective is {named}; disco agents need an update rule, such as disco or ta-disco: a name, a stored "
            "objective, or the run folder of its meta-training"
        )
    parts = _Parts(config, env.observation_space, _network(env, config, objective.rule), objective.rule)
    return Learner(
        name="disco",
        init=partial(_init, parts),
        actor=_actor,
        act=partial(_act, parts),
        update=partial(_update, parts),
        initial_memory=no_memory,
        init_objective=objective.init,
        default_hp=hp,
        adopt=_adopt,
    )


def _network(env: Env, config: DiscoAgentConfig, rule: DiscoRule) -> DiscoNetwork:
    if not isinstance(env.action_space, Discrete):
        raise ValueError(f"action_space is {env.action_space}; disco agents take Discrete actions only")
    check_encoder(config.network, env.observation_space)
    return DiscoNetwork(
        config.network,
        env.observation_space,
        env.action_space.n,
        rule.config.predictions,
        rule.config.bins,
        config.model,
        config.head,
    )


def _init(parts: _Parts, key: Array, hp: DiscoHyperparameters) -> DiscoState:
    del hp
    space = parts.observation_space
    params = parts.network.init(key, jnp.zeros((1, *space.shape), space.dtype))
    optimiser = init_optimiser("adam", ravel_pytree(params)[0])
    # Another array of the same numbers: the state is donated, and no buffer can be twice.
    return DiscoState(params, jax.tree.map(jnp.copy, params), optimiser, parts.rule.init_state())


def _adopt(state: DiscoState, other: DiscoState) -> DiscoState:
    return replace(state, params=other.params, target=other.params)


def _actor(state: DiscoState) -> Any:
    return state.params


def _act(
    parts: _Parts, actor: Any, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
) -> tuple[Array, Any, PolicyOutput]:
    del first
    logits: Any = parts.network.apply(actor, obs, method=DiscoNetwork.policy)
    distribution = Categorical(logits)
    action = distribution.mode() if mode == "greedy" else distribution.sample(key)
    return action, memory, PolicyOutput(distribution.log_prob(action), None, distribution, memory)


def _update(
    parts: _Parts,
    key: Array,
    state: DiscoState,
    trajectory: Trajectory,
    hp: DiscoHyperparameters,
    eta: Any,
    clock: Clock,
) -> tuple[DiscoState, dict[str, Array]]:
    del key
    learning_rate = linear_schedule(clock, hp.learning_rate, hp.learning_rate_end)

    def step(state: DiscoState, epoch: Array) -> tuple[DiscoState, dict[str, Array]]:
        return _step(parts, state, trajectory, hp, learning_rate, eta, replace(clock, epoch=epoch))

    epochs = jnp.arange(parts.config.epochs, dtype=jnp.float32) / parts.config.epochs
    state, history = jax.lax.scan(step, state, epochs)
    metrics = {name: values.mean() for name, values in history.items()}
    return state, {**metrics, "learning_rate": jnp.asarray(learning_rate, jnp.float32)}


def _step(
    parts: _Parts,
    state: DiscoState,
    trajectory: Trajectory,
    hp: DiscoHyperparameters,
    learning_rate: Array,
    eta: Any,
    clock: Clock,
) -> tuple[DiscoState, dict[str, Array]]:
    """One gradient step to where the rule says that policy and predictions should have been."""
    rule, t = parts.rule, trajectory
    now, pull = jax.vjp(lambda params: _outputs(parts, params, t.obs), state.params)
    slow = (_outputs(parts, state.target, t.obs), _outputs(parts, state.target, t.next_obs))
    batch = DiscoBatch(t, now, _outputs(parts, state.params, t.next_obs), *slow)
    targets, remembered, said = rule.targets(eta, state.rule, batch, hp, clock)
    (loss, metrics), direction = jax.value_and_grad(rule.loss, has_aux=True)(now, targets, batch, hp)
    flat, unravel = ravel_pytree(pull(direction)[0])
    move, size, optimiser = clipped_step("adam", state.optimiser, flat, learning_rate, None, hp.adam_eps)
    largest = hp.max_update * learning_rate
    params = jax.tree.map(jnp.add, state.params, unravel(jnp.clip(move, -largest, largest)))
    mixed = lambda old, new: hp.target_decay * old + (1.0 - hp.target_decay) * new
    target = jax.tree.map(mixed, state.target, state.params)
    metrics = {"loss": loss, "grad_norm": size, **metrics, **said}
    return DiscoState(params, target, optimiser, remembered), metrics


def _outputs(parts: _Parts, params: Any, obs: Array) -> AgentOutputs:
    """Of ``[T, N, ...]``."""
    batch = obs.shape[:2]
    said = parts.network.apply(params, obs.reshape((-1, *obs.shape[2:])))
    return jax.tree.map(lambda x: x.reshape((*batch, *x.shape[1:])), said)
