"""What a Disco rule reads of a rollout.

Every number at a successor is read at the true successor of the step. The flag that the rule reads is that of
termination: a time limit ends the episode, so nothing flows back over it, but not the task.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_evolve.experience.normalisation import DecayingMoments
from jaxrl_evolve.experience.returns import retrace
from jaxrl_evolve.objectives.disco.values import expected_value, signed_log
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class AgentOutputs:
    """What the agent's network says of observations; logits all.

    Attributes:
        policy: of the actions.
        y: prediction of the observation whose meaning only the rule knows.
        z: the same of every action.
        next_policy: for every action, the policy after it.
        q: value of every action, over the bins of `values`.
    """

    policy: Float[Array, "*B A"]
    y: Float[Array, "*B m"]
    z: Float[Array, "*B A m"]
    next_policy: Float[Array, "*B A A"]
    q: Float[Array, "*B A bins"]


@struct.dataclass
class DiscoBatch:
    """A rollout, and what the agent's two networks say of it; leaves ``[T, N, ...]``.

    Attributes:
        trajectory: the recorded steps; ``policy.distribution`` is the `Categorical` that acted.
        now: by the agent's network, of the observations.
        after: by the agent's network, of their true successors.
        slow_now: of the observations, by the target network.
        slow_after: of their true successors, by the target network.
    """

    trajectory: Trajectory
    now: AgentOutputs
    after: AgentOutputs
    slow_now: AgentOutputs
    slow_after: AgentOutputs


@struct.dataclass
class Assessment:
    """Values and advantages of a rollout; constants to whoever differentiates.

    Attributes:
        value: of the observations, by the agent's network.
        next_value: of their true successors, by the agent's network.
        q: action values of the target network.
        q_target: Retrace targets of the taken actions.
        advantage: of the taken actions, by ``q_target``.
        action_advantage: of all actions, by the target network alone.
    """

    value: Float[Array, "T N"]
    next_value: Float[Array, "T N"]
    q: Float[Array, "T N A"]
    q_target: Float[Array, "T N"]
    advantage: Float[Array, "T N"]
    action_advantage: Float[Array, "T N A"]


@struct.dataclass
class RuleInputs:
    """What the rule's networks read.

    Attributes:
        step: of every step: probability of the action by agent, actor; reward, flag of going on, value and
            successor's, advantage, normalised advantage; probability of the action by the target network.
        policies: of every action, its probability by agent, actor and target network.
        values: of every action, its value, advantage, normalised advantage, and whether it was taken.
        policy: of the agent, at the observation.
        next_policy: of the agent, at its successor.
        y: probabilities by the agent at observation and successor, then by the target network.
        z: the same for ``z``.
        action: that was taken.
    """

    step: Float[Array, "T N 9"]
    policies: Float[Array, "T N A 3"]
    values: Float[Array, "T N A 4"]
    policy: Float[Array, "T N A"]
    next_policy: Float[Array, "T N A"]
    y: tuple[Float[Array, "T N m"], ...]
    z: tuple[Float[Array, "T N A m"], ...]
    action: Int[Array, "T N"]


def taken(x: Float[Array, "T N A ..."], action: Int[Array, "T N"]) -> Float[Array, "T N ..."]:
    """The entries of the taken actions."""
    index = action.reshape(action.shape + (1,) * (x.ndim - 2))
    return jnp.take_along_axis(x, index, axis=2).squeeze(2)


def assess(batch: DiscoBatch, limit: float, gamma: Any, lam: Any) -> Assessment:
    """Values, Retrace targets (Munos et al. 2016) and advantages, as Disco's rules were given them.

    State values are action values under the agent's present policy. Targets are bootstrapped from the target
    network.

    Args:
        batch: the rollout.
        limit: of the bins.
        gamma: discount.
        lam: trace decay.
    """
    t = batch.trajectory

    def state_value(outputs: AgentOutputs, q: Array) -> Array:
        return (jax.nn.softmax(outputs.policy) * q).sum(-1)

    value = state_value(batch.now, expected_value(batch.now.q, limit))
    next_value = state_value(batch.after, expected_value(batch.after.q, limit))
    q = expected_value(batch.slow_now.q, limit)
    slow_value = state_value(batch.now, q)
    slow_next = state_value(batch.after, expected_value(batch.slow_after.q, limit))
    log_ratio = taken(jax.nn.log_softmax(batch.now.policy), t.action) - t.policy.log_prob
    target = retrace(t.reward, taken(q, t.action), slow_next, log_ratio, t.terminated, t.ended, gamma, lam)
    assessment = Assessment(value, next_value, q, target, target - slow_value, q - slow_value[..., None])
    return jax.lax.stop_gradient(assessment)


def rule_inputs(batch: DiscoBatch, a: Assessment, advantages: DecayingMoments) -> RuleInputs:
    """The numbers that the rule reads.

    The agent's predictions are not held constant, so that a meta-gradient sees that what the rule asks for now
    is read again at the next update. Policies and values are.

    Args:
        batch: the rollout.
        a: its values.
        advantages: moments to normalise advantages by, this rollout's included.
    """
    t = batch.trajectory
    policy, next_policy, slow = jax.lax.stop_gradient(
        tuple(jax.nn.softmax(o.policy) for o in (batch.now, batch.after, batch.slow_now))
    )
    actor = jax.nn.softmax(t.policy.distribution.logits)
    normalise = lambda x: (x - advantages.mean) / advantages.deviation
    step = [
        taken(policy, t.action),
        taken(actor, t.action),
        signed_log(t.reward),
        1.0 - t.terminated.astype(jnp.float32),
        signed_log(a.value),
        signed_log(a.next_value),
        signed_log(a.advantage),
        normalise(a.advantage),
        taken(slow, t.action),
    ]
    chosen = jax.nn.one_hot(t.action, policy.shape[-1], dtype=jnp.float32)
    values = [signed_log(a.q), signed_log(a.action_advantage), normalise(a.action_advantage), chosen]
    four = (batch.now, batch.after, batch.slow_now, batch.slow_after)
    return RuleInputs(
        step=jnp.stack(step, -1),
        policies=jnp.stack([policy, actor, slow], -1),
        values=jnp.stack(values, -1),
        policy=policy,
        next_policy=next_policy,
        y=tuple(jax.nn.softmax(o.y) for o in four),
        z=tuple(jax.nn.softmax(o.z) for o in four),
        action=t.action,
    )
