"""One task for several slots: what is compared inside a group has to be of the same task, as completions of the same prompt are."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings


def shared(curriculum: Curriculum | None, group: int) -> Curriculum:
    """A curriculum whose choice for the first of ``group`` neighbouring slots is that of all; every rollout begins with new episodes.

    Args:
        curriculum: whose choice; by default the environment's own, as it draws tasks, or the one task that there is.
        group: slots that share a task; it divides their number.

    Raises:
        ValueError: the curriculum chooses for each slot by itself, as those of levels do.
    """
    if curriculum is None:
        curriculum = Curriculum(lambda key: (), _drawn, lambda state, outcome: state, lambda state: {})
    elif curriculum.restart or curriculum.scouts is not None:
        raise ValueError(
            f"the learner compares groups of {group} slots on one task, which a curriculum that chooses a level for every slot does not "
            "give it: it must be one of arms, or none"
        )
    inner = curriculum

    def propose(key: Array, state: Any, openings: Openings) -> tuple[Any, Assignment]:
        state, proposed = inner.propose(key, state, openings)
        return state, jax.tree.map(lambda x: jnp.repeat(x[::group], group, 0), proposed)

    return inner._replace(propose=propose, restart=True, group=group)


def _drawn(key: Array, state: Any, openings: Openings) -> tuple[Any, Assignment]:
    del key
    return state, Assignment(jnp.full(openings.playing.shape, NEW, jnp.int32), openings.drawn)
