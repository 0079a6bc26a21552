"""A curriculum of levels as the scheduler of a loop: it chooses, rollout by rollout, among the specs of a phase, or among levels of the
environment's own family.

The original keeps its share of the slots whatever the curriculum says. A curriculum of levels scores a level by a whole rollout on it
(`Curriculum.restart`), so episodes that are longer than a rollout do not end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.seeds import key_of
from jaxrl_evolve.curricula.domain_randomisation import domain_randomisation
from jaxrl_evolve.curricula.level_buffer import log_weights
from jaxrl_evolve.curricula.levels.names import LEVEL_CURRICULA
from jaxrl_evolve.curricula.levels.options import LevelOptions
from jaxrl_evolve.curricula.levels.replay import LevelState, Rule, level_curriculum
from jaxrl_evolve.generation.mixture import apportioned
from jaxrl_evolve.generation.seat import Seat, counted, spec_seat
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings
from jaxrl_evolve.settings.names import suggestion

_FIRST = 1e3  # the score of what was not visited yet: above all that are computed
_OF_FAMILY = (
    2  # by which numbers of a family's levels are shifted: 0 is the original, 1 a level without a number
)
_OF_SPECS: dict[str, dict[str, Any]] = {
    "plr": {"score": "max-mc"},
    "mna": {"score": "mna"},
    "sfl": {"score": "posterior-learnability", "prioritisation": "top-k", "staleness": 0.0},
}
OF_SPECS = tuple(_OF_SPECS)
"""Curricula that schedule specs: scores and draws of these, without new levels, which are the proposer's business."""
OF_FAMILIES = ("random", *(name for name in LEVEL_CURRICULA if name not in ("paired", "repaired")))
"""Curricula that choose levels of a family; `random` is domain randomisation."""


class Levels(NamedTuple):
    """A curriculum inside the seat.

    Attributes:
        curriculum: of levels.
        specs: whether its levels are the specs of the phase, by their rows; else they are of a family.
    """

    curriculum: Curriculum
    specs: bool


def of_specs(name: str, env: Env, specs: int) -> Levels:
    """A curriculum by which specs of a phase are chosen.

    Args:
        name: one of `OF_SPECS`.
        env: interprets them.
        specs: how many there may be.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in _OF_SPECS:
        raise ValueError(
            f"curriculum is {name!r}, by which no specs are scheduled: {suggestion(name, _OF_SPECS)}"
        )
    # Half of the specs are the highest.
    base = {"min_fill": 0.0, "unique": False, "repeats": True, "replay_probability": 1.0}
    options = LevelOptions(capacity=specs, top=max(1, specs // 2), **base, **_OF_SPECS[name])
    # New levels are never asked for.
    family = dataclasses.replace(env, sample_params=lambda key: env.params)

    def logits(options: LevelOptions, state: LevelState) -> Array:
        # The original is in the buffer, so that what comes of it displaces nothing, but has its share already.
        buffer = state.buffer
        numbers, scores = buffer.numbers.at[0].set(NEW), buffer.scores.at[0].set(-jnp.inf)
        return log_weights(options, replace(buffer, numbers=numbers, scores=scores))

    return Levels(level_curriculum(name, family, options, Rule(logits=logits)), True)


def of_family(name: str, env: Env, num_envs: int) -> Levels:
    """A curriculum of the levels that an environment draws.

    Args:
        name: one of `OF_FAMILIES`.
        env: with `Env.sample_params`.
        num_envs: slots.

    Raises:
        ValueError: there is none of this name, or the environment is one task only.
    """
    if name not in OF_FAMILIES:
        raise ValueError(
            f"curriculum is {name!r}, which chooses no levels of a family: {suggestion(name, OF_FAMILIES)}"
        )
    make = domain_randomisation if name == "random" else LEVEL_CURRICULA[name]
    return Levels(make(env, num_envs), False)


def level_seat(env: Env, levels: Levels, specs: int, skills: int) -> Curriculum:
    """The seat of a loop with a curriculum of levels in it; the table's first row is of the original, and of a family the second of all else.

    Args:
        env: as of `seat.spec_seat`.
        levels: who chooses.
        specs: how many there may be in a phase.
        skills: length of the metric ``skills``.
    """
    outer, inner = spec_seat(env, specs, skills), levels.curriculum
    shift = 0 if levels.specs else _OF_FAMILY

    def inside(number: Int[Array, ...]) -> Int[Array, ...]:
        """As the curriculum inside counts; of a family the original is a level like any that it does not know."""
        return jnp.maximum(number - shift, NEW)

    def heard(lived: Lived) -> Lived:
        return lived._replace(proposed=replace(lived.proposed, number=inside(lived.proposed.number)))

    def init(key: Array) -> Seat:
        return replace(outer.init(key), levels=inner.init(key))

    def propose(key: Array, seat: Seat, openings: Openings) -> tuple[Seat, Assignment]:
        (n,) = openings.wanted.shape
        asked = openings._replace(playing=inside(openings.playing))
        state, chosen = inner.propose(key, seat.levels, asked)
        first = seat.shares[0]
        original = jnp.arange(n) < apportioned(jnp.stack([first, 1.0 - first]), n)[0]
        if levels.specs:  # there may be no other
            original |= chosen.number == NEW
        number = jnp.where(original, 0, chosen.number + shift)
        pick = lambda x, row: jnp.where(original.reshape(-1, *[1] * (x.ndim - 1)), row, x)
        params = jax.tree.map(lambda x, every: pick(x, every[0][None]), chosen.params, seat.params)
        return replace(seat, levels=state), Assignment(number, params)

    def record(seat: Seat, lived: Lived) -> Seat:
        task = lived.played.trajectory.task
        row = task if levels.specs else jnp.minimum(task, 1)
        return replace(
            seat, table=counted(seat.table, lived, row), levels=inner.record(seat.levels, heard(lived))
        )

    def metrics(seat: Seat) -> dict[str, Array]:
        return {**outer.metrics(seat), **inner.metrics(seat.levels)}

    seat = inner._replace(init=init, propose=propose, record=record, metrics=metrics)
    if inner.scouts is None:
        return seat
    scouts = inner.scouts

    def scouted(key: Array, seat: Seat, lived: Lived) -> tuple[Seat, Assignment]:
        state, assignment = scouts.propose(key, seat.levels, heard(lived))
        return replace(seat, levels=state), assignment

    recorded = lambda seat, lived: replace(seat, levels=scouts.record(seat.levels, lived))
    return seat._replace(scouts=scouts._replace(propose=scouted, record=recorded))


def refilled(levels: Levels) -> Callable[[Seat], Seat]:
    """What a seat becomes at the begin of a phase: the buffer holds its specs by their rows, of which nothing is known. Of a family it stays
    as it is.
    """

    def refill(seat: Seat) -> Seat:
        if not levels.specs:
            return seat
        state: LevelState = levels.curriculum.init(key_of(0))
        rows = jnp.arange(seat.shares.size, dtype=jnp.int32)
        there = (seat.shares > 0) | (rows == 0)
        buffer = replace(
            state.buffer,
            levels=seat.params,
            numbers=jnp.where(there, rows, NEW),
            scores=jnp.where(there, _FIRST, -jnp.inf).astype(jnp.float32),
            unused=jnp.int32(seat.shares.size),
        )
        return replace(seat, levels=replace(state, buffer=buffer))

    return refill
