"""Specs in the seat of a curriculum: stacked parameters, a share of the slots for each, and the table of what came of them.

All three are state, so a loop swaps them between phases, and more specs, or others, are no other program: there is room for as many
as there may be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env, own_end
from jaxrl_envs.vector import VectorEnv
from jaxrl_evolve.curricula.statistics import SUCCESS
from jaxrl_evolve.generation.mixture import apportioned, dealt
from jaxrl_evolve.generation.skill_table import Ends, SkillTable, empty_table, with_rollout
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.runs.chunk import TrainState
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings, Tasks, propose

SKILLS = "skills"
"""The metric that says which skills have been done in an episode, a vector."""
Unit = Literal["steps", "episodes"]
"""Of what shares are kept: a slot keeps its spec, or it draws one for each episode."""


@struct.dataclass
class Seat:
    """What is played in a phase.

    Attributes:
        params: of the specs, leaves ``[specs, ...]``; the first is the original.
        shares: of each; 0 where there is none.
        table: of the episodes in this phase.
        levels: of the curriculum of levels that chooses among them, or ``()``.
    """

    params: Any
    shares: Float[Array, " specs"]
    table: SkillTable
    levels: Any = ()


def spec_seat(env: Env, specs: int, skills: int, unit: Unit = "steps") -> Curriculum:
    """The curriculum that plays specs in given shares; a run begins with the original alone.

    Args:
        env: interprets them; its metrics have `SUCCESS` and `SKILLS`.
        specs: how many there may be.
        skills: length of the metric `SKILLS`.
        unit: of what shares are kept.

    Raises:
        ValueError: the environment does not report both.
    """
    if missing := [name for name in (SUCCESS, SKILLS) if name not in env.metrics]:
        raise ValueError(
            f"{env.name} does not report {missing[0]}; its metrics must have {SUCCESS} and {SKILLS}"
        )

    def init(key: Array) -> Seat:
        del key
        params = jax.tree.map(lambda x: jnp.broadcast_to(x, (specs, *jnp.shape(x))), env.params)
        shares = jnp.zeros((specs,), jnp.float32).at[0].set(1.0)
        return Seat(params, shares, empty_table(specs, skills))

    def propose(key: Array, seat: Seat, openings: Openings) -> tuple[Seat, Assignment]:
        (n,) = openings.wanted.shape
        number = dealt(apportioned(seat.shares, n), n)
        if (
            unit == "episodes"
        ):  # each update deals anew, and a slot takes what it finds where its episode ends
            number = jax.random.permutation(key, number)
        return seat, Assignment(number, jax.tree.map(lambda x: x[number], seat.params))

    def record(seat: Seat, lived: Lived) -> Seat:
        return replace(seat, table=counted(seat.table, lived, lived.played.trajectory.task))

    def metrics(seat: Seat) -> dict[str, Array]:
        steps = seat.table.steps.astype(jnp.float32)
        return {
            "original_steps": steps[0] / jnp.maximum(steps.sum(), 1.0),
            "specs": (seat.shares > 0).sum(dtype=jnp.float32),
        }

    return Curriculum(init, propose, record, metrics)


def counted(table: SkillTable, lived: Lived, row: Int[Array, "T N"]) -> SkillTable:
    """The table after a rollout; ``row`` says whose each step is."""
    return with_rollout(table, row, _ends(lived))


def _ends(lived: Lived) -> Ends:
    played = lived.played
    seen, ended = played.trajectory, own_end(played.trajectory)
    # Of specs that are begun with every rollout, short episodes would be too many.
    ended = ended if lived.counted is None else ended & lived.counted
    assert played.episode_return is not None and played.episode_length is not None
    return Ends(
        ended=ended,
        cut=ended & seen.truncated & ~seen.terminated,
        won=seen.info[SUCCESS] > 0,
        length=played.episode_length,
        returned=played.episode_return,
        skills=seen.info[SKILLS] > 0,
    )


def stacked(params: Sequence[Any], specs: int) -> Any:
    """Parameters of specs along a new axis of length ``specs``, the first again where there are not so many."""
    rows = [*params, *([params[0]] * (specs - len(params)))]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def phase_begin(
    curriculum: Curriculum,
    venv: VectorEnv,
    learner: Learner,
    skills: int,
    refill: Callable[[Seat], Seat] = lambda seat: seat,
) -> Any:
    """``(state, params [specs, ...], shares [specs]) -> state`` in which every slot begins an episode of its spec, with an empty table.

    Episodes of the phase before are not ended: they are left, and count nowhere.

    Args:
        curriculum: of `spec_seat`.
        venv: the slots.
        learner: whose memory begins anew.
        skills: length of the metric `SKILLS`.
        refill: what becomes of the seat besides.
    """

    def begin(state: TrainState, params: Any, shares: Float[Array, " specs"]) -> TrainState:
        key, key_tasks, key_reset = jax.random.split(jax.random.fold_in(state.key, KeyTag.TASKS), 3)
        old = state.tasks.curriculum
        seat = refill(replace(old, params=params, shares=shares, table=empty_table(shares.size, skills)))
        nobody = jnp.full((venv.num_envs,), NEW, jnp.int32)
        tasks = Tasks(*propose(curriculum, venv.env, key_tasks, seat, nobody, venv.env.params))
        envs = venv.reset(key_reset, tasks.running.params)
        memory = learner.initial_memory(venv.num_envs)
        return replace(state, envs=envs, memory=memory, key=key, tasks=tasks)

    return begin
