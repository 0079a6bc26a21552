"""Whole episodes in a replay buffer: where those begin that are held from their first step to their end, and uniform draws of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.replay import Drawn, Replay, read


def beginnings(layout: Layout, replay: Replay) -> Bool[Array, "rows N"]:
    """Where an episode begins that has ended, in whichever way, within `Layout.ahead` steps, and of which no step was overwritten.

    That a step is an episode's first is told by the end of the one before, so the oldest that is held of a full ring is not known to be one.
    """
    rows = replay.reward.shape[0]
    oldest = jnp.where(replay.filled == rows, replay.cursor, 0)
    age = jnp.arange(rows)[:, None]
    ended = (jnp.roll(replay.ending, -oldest, 0) != 0) & (age < replay.filled)
    begun = jnp.roll(ended, 1, 0).at[0].set(replay.filled < rows)
    end = jax.lax.cummin(jnp.where(ended, age, rows + layout.ahead), axis=0, reverse=True)
    whole = begun & (age < replay.filled) & (end - age < layout.ahead)
    return jnp.roll(whole, oldest, 0)


def draw_episodes(layout: Layout, key: Array, replay: Replay, batch: int) -> tuple[Drawn, Bool[Array, ""]]:
    """Windows that begin with whole episodes, drawn uniformly with replacement; nothing after the first end belongs to one.

    Returns:
        Them, and whether there is any whole episode; if not, what was drawn is none.
    """
    count = jnp.cumsum(beginnings(layout, replay).ravel(), dtype=jnp.int32)
    many = count[-1]
    index = jax.random.randint(key, (batch,), 0, jnp.maximum(many, 1), jnp.int32)
    place = jnp.minimum(jnp.searchsorted(count, index, side="right"), count.shape[0] - 1).astype(jnp.int32)
    probability = jnp.full((batch,), 1.0 / jnp.maximum(many, 1), jnp.float32)
    return Drawn(read(layout, replay, place), place, probability), many > 0
