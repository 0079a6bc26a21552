"""Disco (Oh et al. 2025, "Discovering state-of-the-art reinforcement learning algorithms", Nature 648).

The agent predicts, besides its policy, things that nobody gave a meaning: ``y`` of every observation, ``z`` of
every action. A meta-network reads the rollout and says what policy and predictions should have been. The agent
moves towards that,

    KL(pi_hat || pi) + KL(y_hat || y) + KL(z_hat || z_a) + KL(pi' || aux_a) + c CE(q_hat, q_a)

where the last two terms have targets in closed form: the policy at the successor, and Retrace returns on
categorical action values. The rule remembers the agent's life in a core that makes one step per update, and
multiplies what it asks for by what that core says. In its clock-conditioned form, which is ours, the same gate
reads how much of the life is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.normalisation import DecayingMoments
from jaxrl_evolve.objectives.disco.config import DiscoConfig
from jaxrl_evolve.objectives.disco.inputs import AgentOutputs, DiscoBatch, assess, rule_inputs, taken
from jaxrl_evolve.objectives.disco.network import CoreState, RuleNetwork, empty_inputs
from jaxrl_evolve.objectives.disco.values import signed_hyperbolic, two_hot
from jaxrl_evolve.objectives.objective import RuleObjective
from jaxrl_evolve.objectives.time_config import TimeFeatures

_GATE_TIME = "gate_time"


@struct.dataclass
class RuleState:
    """What the rule remembers of one agent's life.

    Attributes:
        lifetime: state of the core that makes one step per update.
        advantages: of the taken actions, for normalising.
    """

    lifetime: CoreState
    advantages: DecayingMoments


class DiscoTargets(NamedTuple):
    """What the agent is to become; constant while the loss is minimised.

    Attributes:
        policy: ``pi_hat``, logits ``[T, N, A]``.
        y: logits of the targets of ``y``.
        z: logits of the targets of ``z`` of the taken action.
        next_policy: logits of the agent's policy at the true successor.
        q: Retrace targets of the taken actions, on their own scale.
    """

    policy: Float[Array, "T N A"]
    y: Float[Array, "T N m"]
    z: Float[Array, "T N m"]
    next_policy: Float[Array, "T N A"]
    q: Float[Array, "T N"]


class DiscoRule(NamedTuple):
    """An update rule as pure functions.

    Attributes:
        config: its sizes.
        init_state: ``() -> RuleState`` at the start of a life.
        targets: ``(eta, state, batch, hp, clock) -> (DiscoTargets, RuleState, metrics)``.
        loss: ``(outputs, targets, batch, hp) -> (loss, metrics)``, of the agent's present outputs.
    """

    config: DiscoConfig
    init_state: Callable[[], RuleState]
    targets: Callable[..., tuple[DiscoTargets, RuleState, dict[str, Array]]]
    loss: Callable[..., tuple[Array, dict[str, Array]]]


def disco_with_time(eta: dict[str, Any], time: TimeFeatures) -> dict[str, Any]:
    """A time-blind rule's parameters as those of the clock-conditioned one that does exactly the same."""
    width = eta["gate.bias"].shape[0]
    return {**eta, _GATE_TIME: jnp.zeros((time.size, width), jnp.float32)}


def _kl(target: Float[Array, "*B m"], logits: Float[Array, "*B m"]) -> Float[Array, "*B"]:
    """``KL(target || prediction)`` of two sets of logits."""
    log_p, log_q = jax.nn.log_softmax(target), jax.nn.log_softmax(logits)
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


def _entropy(logits: Float[Array, "*B m"]) -> Float[Array, ""]:
    """Mean entropy."""
    log_p = jax.nn.log_softmax(logits)
    return -(jnp.exp(log_p) * log_p).sum(-1).mean()


def _loss(
    config: DiscoConfig, outputs: AgentOutputs, targets: DiscoTargets, batch: DiscoBatch, hp: Any
) -> tuple[Float[Array, ""], dict[str, Array]]:
    t = batch.trajectory
    z, q, next_policy = (taken(x, t.action) for x in (outputs.z, outputs.q, outputs.next_policy))
    wanted = two_hot(signed_hyperbolic(targets.q), config.bins, config.limit)
    policy = _kl(targets.policy, outputs.policy).mean()
    prediction = _kl(targets.y, outputs.y).mean()
    action_prediction = _kl(targets.z, z).mean()
    # After the end of the task there is no next policy.
    following = jnp.where(t.terminated, 0.0, _kl(targets.next_policy, next_policy)).mean()
    value = -(wanted * jax.nn.log_softmax(q)).sum(-1).mean()
    total = (
        hp.policy_coef * policy
        + hp.prediction_coef * prediction
        + hp.action_prediction_coef * action_prediction
        + hp.next_policy_coef * following
        + hp.value_coef * value
    )
    metrics = {
        "policy_loss": policy,
        "prediction_loss": prediction,
        "action_prediction_loss": action_prediction,
        "next_policy_loss": following,
        "value_loss": value,
        "entropy": _entropy(outputs.policy),
        "prediction_entropy": 0.5 * (_entropy(outputs.y) + _entropy(z)),
    }
    return total, metrics


def disco(config: DiscoConfig | None = None) -> RuleObjective:
    """The update rule; clock-conditioned where ``config.time`` says what to read of the clock.

    It is more than a loss, so only agents of the algorithm ``disco`` learn by it: they make its predictions and
    keep its `RuleState`. Discrete actions only.

    Reports the five losses, ``entropy`` of the policy, ``prediction_entropy`` (mean of those of ``y`` and ``z``),
    ``policy_target_entropy`` (of ``pi_hat``), ``gate`` (mean absolute), ``value`` (mean).
    """
    config = DiscoConfig() if config is None else config
    network = RuleNetwork(config)
    name = "ta-disco" if config.time.size else "disco"

    def init(key: Array) -> dict[str, Array]:
        params: Any = network.init(key, *empty_inputs(config))
        flat: Any = flatten_dict(params["params"], sep=".")
        return flat

    def init_state() -> RuleState:
        return RuleState(CoreState.zeros(config.lifetime_width), DecayingMoments.none())

    def targets(
        eta: Any, state: RuleState, batch: DiscoBatch, hp: Any, clock: Clock
    ) -> tuple[DiscoTargets, RuleState, dict[str, Array]]:
        assessed = assess(batch, config.limit, hp.gamma, hp.retrace_lambda)
        advantages = state.advantages.merge(assessed.advantage)
        inputs = rule_inputs(batch, assessed, advantages)
        params = {"params": unflatten_dict(eta, sep=".")}
        time = config.time.features(clock)
        output: Any = network.apply(params, inputs, batch.trajectory.ended, state.lifetime, time)
        wanted = DiscoTargets(
            output.policy, output.y, output.z, jax.lax.stop_gradient(batch.after.policy), assessed.q_target
        )
        metrics = {
            "policy_target_entropy": _entropy(output.policy),
            "gate": jnp.abs(output.gate).mean(),
            "value": assessed.value.mean(),
        }
        return wanted, RuleState(output.lifetime, advantages), metrics

    def loss(
        outputs: AgentOutputs, targets: DiscoTargets, batch: DiscoBatch, hp: Any
    ) -> tuple[Float[Array, ""], dict[str, Array]]:
        return _loss(config, outputs, targets, batch, hp)

    rule = DiscoRule(config, init_state, targets, loss)
    return RuleObjective(init, rule, name, config.time.horizons)
