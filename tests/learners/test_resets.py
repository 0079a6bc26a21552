"""When resets come: at the environment steps of the published code, and where whole stretches leave little, as if nothing were left."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk

from jaxrl_envs.vector import vectorize
from jaxrl_evolve import make_chunk, random
from jaxrl_evolve.algorithms.rainbow import rainbow_preset
from jaxrl_evolve.learners.rainbow import rainbow
from jaxrl_evolve.learners.rainbow_config import RainbowConfig, RainbowHyperparameters
from jaxrl_evolve.learners.rainbow_step import reset_due
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.training.experiment import traced

PUBLISHED = {"bbf": range(20, 100, 20), "sr-spr": range(5, 100, 5)}
"""Thousands of environment steps of 100."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_resets_of_whole_runs_come_at_the_published_environment_steps(name: str):
    config = rainbow_preset(name, "atari/Pong").config
    ratio = config.gradient_steps
    # Learning begins with the step that ends the warm-up.
    planned = (100_000 - config.warm_up + 1) * ratio

    @jax.jit
    def resets() -> jax.Array:
        def one(since: jax.Array, steps: jax.Array) -> tuple[jax.Array, jax.Array]:
            left = (planned - -(-steps // ratio) * ratio).astype(jnp.float32)
            due = reset_due(config.reset_every, steps, since + 1, left, jnp.float32(planned))
            return jnp.where(due, 0, since + 1), due

        return jax.lax.scan(one, jnp.int32(0), jnp.arange(1, planned + 1, dtype=jnp.int32))[1]

    steps = np.flatnonzero(resets()) + 1
    assert (steps / ratio + config.warm_up - 1).tolist() == [1_000 * x for x in PUBLISHED[name]]


PLAIN = RainbowConfig(capacity=512, batch=1, warm_up=4, network=ActionValuesConfig(hidden=(4,)))
LIVED = {
    name: (
        config.gradient_steps,
        config.warm_up // 1_000,
        config.reset_every // 1_000,
        1,
        100,
        [*PUBLISHED[name]],
    )
    for name in PUBLISHED
    for config in (rainbow_preset(name, "atari/Pong").config,)
}
# A tenth of a run of `benchmarks/spr_minatar.py`: 351 gradient steps leave one beside five stretches of 70, which is none of its own.
LIVED["beginning whole"] = (1, 200, 70, 8, 3_000, [192 + 8 * 70 * (i + 1) for i in range(4)])


@pytest.mark.parametrize(
    ("ratio", "warm_up", "every", "length", "horizon", "expected"), LIVED.values(), ids=LIVED
)
def test_resets_of_a_run(
    ratio: int, warm_up: int, every: int, length: int, horizon: int, expected: list[int]
):
    """Of a thousandth of the length that papers have."""
    env, hp = walk.make(), traced(RainbowHyperparameters())
    config = replace(PLAIN, gradient_steps=ratio, warm_up=warm_up, reset_every=every)
    chunk = make_chunk(rainbow(env, 1, length, config), vectorize(env, 1), length)
    state, found = jax.jit(chunk.init)(random.key(0), hp, env.params), []
    updates = horizon // length
    go = jax.jit(lambda state: chunk.run(state, hp, (), env.params, jnp.float32(updates), jnp.int32(1))[0])
    for update in range(1, updates + 1):
        state = go(state)
        if int(state.learner.steps) and not int(state.learner.since):
            found.append(update * length)
    assert found == expected
