"""Levels worth living through again, drawn from a buffer, behind the interface of a curriculum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrl_envs.vector import choose
from jaxrl_evolve.curricula.level_buffer import (
    NEW,
    BufferConfig,
    LevelBuffer,
    init_buffer,
    sample_levels,
    update_buffer,
)
from jaxrl_evolve.runs.tasks import Assignment, Curriculum, Openings


class Scored(NamedTuple):
    """Levels with what they are worth.

    Attributes:
        levels: as they were proposed, leaves ``[n, ...]``.
        score: float32 ``[n]``; one that is not finite is none.
        valid: which of them count.
    """

    levels: Assignment
    score: Float[Array, " n"]
    valid: Bool[Array, " n"]


def level_replay(
    config: BufferConfig, example: Any, score: Callable[[Any], Scored], restart: bool = True
) -> Curriculum:
    """Prioritised level replay (Jiang et al. 2021, arXiv 2010.03934); its state is a `LevelBuffer`.

    Args:
        config: of the buffer.
        example: one level, arrays or their shapes and dtypes.
        score: what to make of an outcome.
        restart: see `Curriculum`.
    """

    def init(key: Array) -> LevelBuffer:
        del key
        return init_buffer(config, example)

    def propose(key: Array, buffer: LevelBuffer, openings: Openings) -> tuple[LevelBuffer, Assignment]:
        draw = sample_levels(config, key, buffer, openings.wanted, openings.playing)
        levels = choose(draw.numbers == NEW, openings.drawn, draw.levels)
        return buffer, Assignment(draw.numbers, levels)

    def record(buffer: LevelBuffer, outcome: Any) -> LevelBuffer:
        scored = score(outcome)
        levels = scored.levels
        return update_buffer(buffer, levels.number, levels.params, scored.score, scored.valid)

    def metrics(buffer: LevelBuffer) -> dict[str, Array]:
        filled = buffer.filled
        total = jnp.where(filled, buffer.scores, 0.0).sum()
        return {
            "buffer_fill": filled.mean(dtype=jnp.float32),
            "buffer_score": total / jnp.maximum(filled.sum(), 1),
        }

    return Curriculum(init, propose, record, metrics, restart)


def shapes(level: Any) -> Any:
    """Shapes and dtypes of a level, an example for `level_replay`."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.asarray(x).dtype), level)
