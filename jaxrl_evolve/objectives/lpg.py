"""Learned policy gradient (Oh et al. 2020, arXiv 2007.08794) and its temporally-aware form.

The agent makes a categorical prediction ``y(s)`` of every state that has no meaning given in advance. A
recurrent network reads a rollout backwards in time and says for every step how the log-probability of the
action is to change, ``pi_hat``, and what the prediction should have been, ``y_hat``. Both are targets: the
agent minimises

    mean( -pi_hat log pi(a|s) + prediction_coef * KL(y(s) || y_hat) )

(equations 2 and 3 of the paper). With time inputs (Jackson et al. 2024, arXiv 2402.05828) the network also
reads how much of the agent's lifetime is over, and can anneal what it asks for.

Layout, gates and parameter counts follow the public implementation of Jackson et al. (2023), whose core is a
GRU where the first paper's is an LSTM. What is read of the agent is not held constant, so that a
meta-gradient sees that today's ``y_hat`` is read again tomorrow; the loss itself treats both targets as
constants.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.networks.orthogonal import orthogonal
from jaxrl_evolve.objectives.lpg_config import LPGConfig
from jaxrl_evolve.objectives.objective import ObjectiveBatch, ObjectiveOutputs, TargetObjective
from jaxrl_evolve.objectives.time_config import TimeFeatures

_LARGEST_LOG_DENSITY = 2.0  # a density, unlike a probability, has no bound; its exponential needs one


class LPGTargets(NamedTuple):
    """What the meta-network says of a rollout.

    Attributes:
        policy: ``pi_hat``, float32 ``[T, N]``.
        prediction: ``log y_hat``, float32 ``[T, N, m]``.
    """

    policy: Float[Array, "T N"]
    prediction: Float[Array, "T N m"]


def _dense(key: Array, fan_in: int, *shape: int) -> Array:
    """Truncated normal kernel with variance ``1 / fan_in``."""
    return jax.nn.initializers.lecun_normal()(key, (fan_in, *shape), jnp.float32)


def init_parameters(config: LPGConfig, key: Array) -> dict[str, Array]:
    """The meta-network's parameters; kernels of time inputs are a leaf of their own (``core_time``)."""
    gates = {"gru": 3, "lstm": 4}[config.core]
    width, m = config.width, config.predictions
    keys = jax.random.split(key, 6)
    recurrent = jnp.concatenate(
        [orthogonal(1.0)(k, (width, width), jnp.float32) for k in jax.random.split(keys[2], gates)], axis=1
    )
    eta = {
        "embed_kernel": _dense(keys[0], m, config.embedding),
        "embed_bias": jnp.zeros((config.embedding,), jnp.float32),
        "embed_out_kernel": _dense(keys[1], config.embedding, 1),
        "embed_out_bias": jnp.zeros((1,), jnp.float32),
        "core_input": _dense(keys[3], config.inputs, gates * width),
        "core_memory": recurrent,
        "core_bias": jnp.zeros((gates * width,), jnp.float32),
        "policy_kernel": _dense(keys[4], width, 1),
        "policy_bias": jnp.zeros((1,), jnp.float32),
        "prediction_kernel": _dense(keys[5], width, m),
        "prediction_bias": jnp.zeros((m,), jnp.float32),
    }
    if config.core == "gru":
        eta["core_candidate_bias"] = jnp.zeros((width,), jnp.float32)
    if config.time.size:
        eta["core_time"] = _dense(jax.random.fold_in(key, 6), config.time.size, gates * width)
    return jax.tree.map(jnp.zeros_like, eta) if config.start == "zeros" else eta


def lpg_with_time(eta: dict[str, Array], time: TimeFeatures) -> dict[str, Array]:
    """A time-blind LPG's parameters as those of the temporally-aware one that does exactly the same."""
    gates = eta["core_bias"].shape[0]
    return {**eta, "core_time": jnp.zeros((time.size, gates), jnp.float32)}


def _embed(eta: dict[str, Array], logits: Array) -> Array:
    """``phi(y)``, one number per state."""
    hidden = jax.nn.relu(jax.nn.softmax(logits) @ eta["embed_kernel"] + eta["embed_bias"])
    return (hidden @ eta["embed_out_kernel"] + eta["embed_out_bias"])[..., 0]


def _gru(eta: dict[str, Array], x: list[Array], h: Array) -> tuple[Array, Array]:
    u = jnp.split(h @ eta["core_memory"], 3, axis=-1)
    reset = jax.nn.sigmoid(x[0] + u[0])
    update = jax.nn.sigmoid(x[1] + u[1])
    candidate = jnp.tanh(x[2] + reset * (u[2] + eta["core_candidate_bias"]))
    h = (1.0 - update) * candidate + update * h
    return h, h


def _lstm(eta: dict[str, Array], x: list[Array], state: Array) -> tuple[Array, Array]:
    """``state`` holds cell and output side by side."""
    cell, h = jnp.split(state, 2, axis=-1)
    u = jnp.split(h @ eta["core_memory"], 4, axis=-1)
    enter, forget, candidate, out = (of_input + of_memory for of_input, of_memory in zip(x, u, strict=True))
    cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
    h = jax.nn.sigmoid(out) * jnp.tanh(cell)
    return jnp.concatenate([cell, h], axis=-1), h


def _loss(
    eta: Any, batch: ObjectiveBatch, outputs: ObjectiveOutputs, clock: Clock
) -> tuple[Array, dict[str, Array]]:
    del eta, clock
    pi_hat, log_y_hat = batch.targets
    assert outputs.prediction is not None
    log_y = jax.nn.log_softmax(outputs.prediction)
    y = jnp.exp(log_y)
    policy = -(pi_hat * outputs.log_prob).mean()
    prediction = (y * (log_y - log_y_hat)).sum(-1).mean()
    metrics = {
        "policy_loss": policy,
        "prediction_loss": prediction,
        "policy_target": jnp.abs(pi_hat).mean(),
        "policy_target_square": jnp.square(pi_hat).mean(),
        "prediction_entropy": -(y * log_y).sum(-1).mean(),
        "prediction_target_square": jnp.exp(2.0 * log_y_hat).sum(-1).mean(),
        "entropy": outputs.entropy.mean(),
    }
    return policy + batch.hp.prediction_coef * prediction, metrics


def lpg(config: LPGConfig | None = None) -> TargetObjective:
    """The learned policy gradient; temporally aware where ``config.time`` says what to read of the clock.

    Serves discrete and continuous actions: of the policy it reads the probability of the taken action only
    (of a continuous one the density, up to ``e**2``).

    Reports ``policy_target`` (mean absolute ``pi_hat``), ``policy_target_square``, ``prediction_loss``,
    ``prediction_entropy`` (of ``y``), ``prediction_target_square`` (squared norm of ``y_hat``), ``entropy``.
    """
    config = LPGConfig() if config is None else config
    step = {"gru": _gru, "lstm": _lstm}[config.core]
    state_width = config.width * {"gru": 1, "lstm": 2}[config.core]

    def init(key: Array) -> dict[str, Array]:
        return init_parameters(config, key)

    def targets(eta: Any, batch: ObjectiveBatch, outputs: ObjectiveOutputs, clock: Clock) -> LPGTargets:
        t = batch.trajectory
        assert outputs.prediction is not None and outputs.next_prediction is not None
        columns = [
            t.reward,
            t.terminated.astype(jnp.float32),
            jnp.exp(jnp.minimum(outputs.log_prob, _LARGEST_LOG_DENSITY)),
            _embed(eta, outputs.prediction),
            jnp.where(t.terminated, 0.0, _embed(eta, outputs.next_prediction)),
        ]
        if config.gamma_input:
            columns.append(jnp.broadcast_to(batch.hp.gamma, t.reward.shape))
        x = jnp.stack(columns, axis=-1) @ eta["core_input"] + eta["core_bias"]
        if config.time.size:
            x = x + config.time.features(clock) @ eta["core_time"]

        # One array per gate: slices of a dynamic slice keep XLA from using vector units in the loop (3 times slower).
        gates = jnp.split(x, x.shape[-1] // config.width, axis=-1)

        def backwards(state: Array, inputs: tuple[list[Array], Array]) -> tuple[Array, Array]:
            x_t, ended = inputs
            # What lies behind the end of an episode belongs to another one.
            return step(eta, x_t, jnp.where(ended[:, None], 0.0, state))

        start = jnp.zeros((t.reward.shape[1], state_width), jnp.float32)
        _, hidden = jax.lax.scan(backwards, start, (gates, t.ended), reverse=True)
        hidden = jax.nn.relu(hidden)
        return LPGTargets(
            (hidden @ eta["policy_kernel"] + eta["policy_bias"])[..., 0],
            jax.nn.log_softmax(hidden @ eta["prediction_kernel"] + eta["prediction_bias"]),
        )

    name = "ta-lpg" if config.time.size else "lpg"
    horizons = config.time.horizons
    return TargetObjective(init, _loss, targets, name, config.predictions, horizons)
