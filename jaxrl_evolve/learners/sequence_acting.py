"""Answering: the state of learners that compare completions, and how it acts, by the policy or by a mixture with its reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.learners.optimiser import init_optimiser
from jaxrl_evolve.learners.reference import Reference
from jaxrl_evolve.learners.sequence_config import SequenceConfig
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.network import Network
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.trajectory import PolicyOutput


@struct.dataclass
class SequenceState:
    """State of such a learner.

    Attributes:
        params: the network's.
        optimiser: of `clipped_step`.
        reference: the policy that log-ratios are to, or ``()`` where that is the one that answered.
        updates: int32 scalar, updates made.
        queries: labels asked for so far.
        share: of the reference in the mixture that some answer by, or ``()``.
        past: a second earlier policy, or ``()``; see `SequenceConfig.past`.
    """

    params: Any
    optimiser: Any
    reference: Any
    updates: Int[Array, ""]
    queries: Count
    share: Any = ()
    past: Any = ()


class Parts(NamedTuple):
    """What the functions of one learner read, all static."""

    config: SequenceConfig
    num_envs: int
    network: Network
    oracle: Oracle | None
    watch: Watch


def init_state(parts: Parts, key: Array, hp: Any) -> SequenceState:
    """Before the first update."""
    params = parts.network.init(key)
    mixed = parts.config.mixed
    share = jnp.float32(1) if mixed == "past" else jnp.asarray(hp.opponent_mixture, jnp.float32)
    own = parts.config.reference != "rollout"
    optimiser = init_optimiser(parts.config.optimiser, params)
    return SequenceState(
        params,
        optimiser,
        Reference.of(params) if own else (),
        jnp.zeros((), jnp.int32),
        Count.none(),
        share if mixed != "none" else (),
        Reference.of(params) if parts.config.past != "none" else (),
    )


class _Actor(NamedTuple):
    """What acts where some answer by a mixture: what a network's policy reads, twice, and the share of the second."""

    policy: Any
    reference: Any
    share: Array


def actor_of(parts: Parts, state: SequenceState) -> Any:
    """What acting reads."""
    own = parts.network.actor(state.params)
    if parts.config.mixed == "none":
        return own
    other = state.past if parts.config.mixed == "past" else state.reference
    return _Actor(own, parts.network.actor(other.actor), state.share)


def initial_memory(parts: Parts, number: int) -> Any:
    """Of the policy, and of its reference where some answer by both."""
    one = parts.network.initial_memory(number)
    return one if parts.config.mixed == "none" else (one, parts.network.initial_memory(number))


def act_mixed(
    parts: Parts, actor: _Actor, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
) -> tuple[Array, Any, PolicyOutput]:
    """While it is learned, some slots answer by the mixture; what is recorded is the policy's own log-probability."""
    own, memory_own = parts.network.policy(actor.policy, obs, first, memory[0])
    other, memory_other = parts.network.policy(actor.reference, obs, first, memory[1])
    action = own.mode() if mode == "greedy" else own.sample(key)
    if mode == "explore":
        if not (isinstance(own, Categorical) and isinstance(other, Categorical)):
            raise ValueError(
                f"learner.mixed is {parts.config.mixed!r}, which mixes logits; with actions that are numbers it must be 'none'"
            )
        # A forbidden action is so for both.
        both = jnp.isfinite(own.logits) & jnp.isfinite(other.logits)
        mixed = jnp.where(both, own.log_probs + actor.share * (other.log_probs - own.log_probs), -jnp.inf)
        drawn = Categorical(mixed).sample(key)
        action = jnp.where(opponents(parts, first.shape[0]), drawn, action)
    action = jax.lax.stop_gradient(action)
    return action, (memory_own, memory_other), PolicyOutput(own.log_prob(action), None, own, ())


def opponents(parts: Parts, slots: int) -> Array:
    """bool ``[N]``: who answers by the mixture."""
    group = parts.config.group
    return (jnp.arange(slots) % group >= group // 2) | (parts.config.mixed == "all")


def act(
    parts: Parts, actor: Any, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
) -> tuple[Array, Any, PolicyOutput]:
    """One step of the policy, see `learners.learner.Act`."""
    distribution, memory = parts.network.policy(actor, obs, first, memory)
    action = jax.lax.stop_gradient(distribution.mode() if mode == "greedy" else distribution.sample(key))
    # Rollouts begin with episodes, so nobody reads the memory of any step.
    return action, memory, PolicyOutput(distribution.log_prob(action), None, distribution, ())


def look_on(
    parts: Parts, actor: Any, obs: Any, first: Array, memory: Any, key: Array, mode: Mode = "explore"
) -> tuple[Array, Any, PolicyOutput]:
    """While a teacher is imitated, the policy is not asked: whatever it said, the teacher answers, and what is learned by reads whole episodes anew."""
    if mode != "explore":
        return act(parts, actor, obs, first, memory, key, mode)
    said = jax.eval_shape(lambda: parts.network.policy(actor, obs, first, memory)[0].mode())
    return jnp.zeros(said.shape, said.dtype), memory, PolicyOutput(jnp.zeros(first.shape, jnp.float32))
