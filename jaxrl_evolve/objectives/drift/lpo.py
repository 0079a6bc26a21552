"""Learned policy optimisation: a drift computed by a small network (Lu et al. 2022, arXiv 2210.05639), and its
time-aware form (Jackson et al. 2024, arXiv 2402.05828).

The network has no biases and all its inputs are zero at ``r = 1``, so its output is zero there; a margin
below which its output counts as nothing makes the slope zero too. That holds for every ``eta`` with a margin above 0.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.objectives.drift.config import LPOConfig
from jaxrl_evolve.objectives.drift.frame import Drift, drift_objective
from jaxrl_evolve.objectives.objective import Objective
from jaxrl_evolve.objectives.time_config import NO_TIME, HorizonRange, TimeFeatures

INPUTS = 8
_LOG_RATIO_LIMIT = 30.0


def lpo_inputs(
    log_ratio: Float[Array, "*shape"], advantage: Float[Array, "*shape"], limit: float = 2.0
) -> Float[Array, " inputs *shape"]:
    """``r - 1``, its square, ``log r``, its square, and the four times the advantage; all zero at ``r = 1``.

    Args:
        log_ratio: ``log r``, kept within 30 so that no square overflows.
        advantage: normalised.
        limit: largest absolute value.
    """
    log_ratio = jnp.clip(log_ratio, -_LOG_RATIO_LIMIT, _LOG_RATIO_LIMIT)
    change = jnp.expm1(log_ratio)
    plain = jnp.stack([change, jnp.square(change), log_ratio, jnp.square(log_ratio)])
    return jnp.clip(jnp.concatenate([plain, plain * advantage]), -limit, limit)


def lpo_drift(config: LPOConfig | None = None) -> Drift:
    """The drift ``relu(net(x, f x) + relu((r - clip(r)) A) - margin)``; the inner one with ``ppo_start`` only.

    ``x`` are the `lpo_inputs`, ``f`` the time features, ``net`` a linear layer, tanh and a linear layer. Time
    only ever multiplies ``x``: as an input of its own it would not vanish at ``r = 1``.
    """
    config = LPOConfig() if config is None else config

    def drift(
        eta: Any,
        log_ratio: Float[Array, "*shape"],
        advantage: Float[Array, "*shape"],
        clip: Float[Array, ""],
        time: Float[Array, " F"],
    ) -> Float[Array, "*shape"]:
        x = lpo_inputs(log_ratio, advantage, config.feature_clip)
        first = eta["input"]
        if config.time.size:
            # The features are the same for all samples: their blocks go into the weights, at no cost per sample.
            first = first + jnp.tensordot(time, eta["time"], 1)
        total = jnp.tensordot(eta["output"], jnp.tanh(jnp.tensordot(first, x, ((0,), (0,)))), 1)
        if config.ppo_start:
            change = jnp.expm1(log_ratio)
            total = total + jax.nn.relu((change - jnp.clip(change, -clip, clip)) * advantage)
        return jax.nn.relu(total - config.margin)

    return drift


def zero_eta(config: LPOConfig) -> dict[str, Array]:
    """Parameters that are all zero, float32: ``input [8, width]``, ``output [width]``, and ``time [F, 8, width]``
    where the objective has time features. With ``ppo_start`` this is PPO.
    """
    eta = {
        "input": jnp.zeros((INPUTS, config.width), jnp.float32),
        "output": jnp.zeros((config.width,), jnp.float32),
    }
    return lpo_with_time(eta, config.time)


def random_eta(key: jax.Array, config: LPOConfig, scale: float = 1.0) -> dict[str, Array]:
    """Parameters drawn from normals with deviation ``scale / sqrt(inputs of the layer)``."""
    leaves, structure = jax.tree.flatten(zero_eta(config))
    keys = jax.random.split(key, len(leaves))
    fan_in = jax.tree.leaves({"input": INPUTS, "output": config.width, "time": INPUTS})
    drawn = [
        scale * size**-0.5 * jax.random.normal(k, leaf.shape, jnp.float32)
        for k, leaf, size in zip(keys, leaves, fan_in, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)


def lpo_with_time(eta: dict[str, Any], time: TimeFeatures, key: Array | None = None) -> dict[str, Any]:
    """The parameters of a time-blind objective with columns for ``time``: the same objective exactly.

    Columns are zero. With a ``key``, those of hidden units whose output is zero are drawn like the input layer's: nobody
    sees them either, until evolution moves the output. Zeros there would hide the time from it, for what tells a pair
    apart is first the output alone; where an output is not zero, columns of zero have a slope.

    Args:
        eta: of `lpo` without time features; leading axes (a population) are kept.
        time: features of the objective to start.
        key: randomness.

    Raises:
        ValueError: ``eta`` has time columns already.
    """
    if "time" in eta:
        raise ValueError(
            f"eta has time columns already, of shape {tuple(eta['time'].shape)}; a warm start takes a "
            "time-blind objective's parameters"
        )
    if not time.size:
        return dict(eta)
    *axes, inputs, width = eta["input"].shape
    columns = jnp.zeros((*axes, time.size, inputs, width), jnp.float32)
    if key is not None:
        unused = jnp.asarray(eta["output"])[..., None, None, :] == 0
        columns = jnp.where(unused, _drawn_inputs(key, columns.shape), columns)
    return {**eta, "time": columns}


def _drawn_inputs(key: Array, shape: tuple[int, ...]) -> Array:
    """An input layer's weights."""
    return jax.random.normal(key, shape, jnp.float32) * INPUTS**-0.5


def lpo(
    config: LPOConfig | None = None,
    normalise_advantage: bool = True,
    clip_value: bool = True,
    horizons: HorizonRange | None = None,
) -> Objective:
    """LPO, or TA-LPO if ``config`` has time features; ``init`` gives what ``config.start`` says.

    Args:
        config: settings.
        normalise_advantage: whether advantages are scaled within the batch.
        clip_value: whether the value loss is clipped by ``hp.clip``.
        horizons: what it was trained at; the range of its time features by default.
    """
    settings = LPOConfig() if config is None else config

    def init(key: jax.Array) -> dict[str, Array]:
        eta = zero_eta(dataclasses.replace(settings, time=NO_TIME))
        if settings.start == "zeros":
            return lpo_with_time(eta, settings.time)
        # The blind one's weights do not depend on what is known of time.
        eta["input"] = _drawn_inputs(key, eta["input"].shape)
        return lpo_with_time(eta, settings.time, jax.random.fold_in(key, 1))

    return drift_objective(
        settings.name,
        lpo_drift(settings),
        settings.time,
        init,
        normalise_advantage,
        clip_value,
        horizons or settings.time.horizons,
    )
