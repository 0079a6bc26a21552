"""What a learned objective is told of time: functions of the clock, as the settings in `time_config` say."""

from __future__ import annotations

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.objectives.time_config import (
    OF_THE_LENGTH,
    ClockAblation,
    TimeFeatures,
)


def shown(ablation: ClockAblation, clock: Clock) -> Clock:
    """`ClockAblation.apply`."""
    if ablation.kind == "frozen":
        return replace(clock, step=ablation.fraction * clock.horizon)
    if ablation.kind == "wrong":
        return replace(clock, horizon=ablation.factor * clock.horizon)
    if ablation.kind == "shuffled":
        order = np.random.default_rng(ablation.seed).permutation(ablation.parts).astype(np.int32)
        place = clock.fraction * ablation.parts
        part = jnp.minimum(place.astype(jnp.int32), ablation.parts - 1)
        moved = (jnp.asarray(order)[part] + (place - part)) / ablation.parts
        return replace(clock, step=moved * clock.horizon)
    return clock


def features(time: TimeFeatures, clock: Clock) -> Float[Array, " F"]:
    """`TimeFeatures.features`."""
    if not time.kinds:
        return jnp.zeros((0,), jnp.float32)
    least, most = 1.0, 1.0
    if time.horizons is not None and set(time.kinds) & set(OF_THE_LENGTH):
        least, most = time.horizons.least, time.horizons.most
        if clock.unit != time.horizons.unit:
            raise ValueError(
                f"the clock counts {clock.unit}, but the objective's time features are scaled for horizons "
                f"of {time.horizons}: give the range in {clock.unit}"
            )
    clock = shown(time.ablation, clock)
    numbers: list[Array] = []
    for kind in time.kinds:
        if kind == "fraction":
            numbers.append(clock.fraction)
        elif kind == "remaining":
            numbers.append(jnp.minimum(clock.remaining / most, 1.0))
        elif kind == "log_horizon":
            middle = 0.5 * (math.log(most) + math.log(least))
            half = 0.5 * (math.log(most) - math.log(least))
            scaled = (jnp.log(jnp.maximum(clock.horizon, least)) - middle) / (half or 1.0)
            numbers.append(jnp.clip(scaled, -1.0, 1.0) if half else jnp.zeros_like(scaled))
        else:
            for frequency in time.frequencies:
                angle = 2.0 * math.pi * frequency * clock.fraction
                numbers += [jnp.sin(angle), jnp.cos(angle)]
    return jnp.stack(numbers).astype(jnp.float32)
