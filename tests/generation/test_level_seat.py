"""A curriculum of levels as a loop's scheduler: the original keeps its share, specs are told by their rows, and steps are counted."""

from __future__ import annotations

import dataclasses

import hall
import hall_env
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve import random
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.level_seat import level_seat, of_family, of_specs, refilled
from jaxrl_evolve.generation.lifecycle import new_archive, observed
from jaxrl_evolve.generation.mutation import informativeness, mutated
from jaxrl_evolve.generation.seat import stacked
from jaxrl_evolve.generation.train import generate
from jaxrl_evolve.runs.tasks import NEW, Openings

ENV, CONFIG = hall_env.SETTING.env, hall_env.CONFIG


def openings(n):
    drawn = jax.vmap(hall_env.sample)(jax.random.split(random.key(3), n))
    return Openings(drawn, jnp.ones(n, bool), jnp.full(n, NEW))


def lengths(*values):
    return stacked([hall_env.encode({**hall.ORIGINAL, "length": value}) for value in values], 6)


def test_specs_are_drawn_by_their_rows_and_the_original_keeps_its_share():
    levels = of_specs("sfl", ENV, 6)
    seat = level_seat(ENV, levels, 6, 4)
    state = seat.init(random.key(0))
    # Before the first phase there is the original alone.
    propose = jax.jit(seat.propose)
    _, first = propose(random.key(1), state, openings(64))
    assert set(first.number.tolist()) == {0} and set(np.asarray(first.params.length).tolist()) == {10}
    there = jnp.asarray([0.25, 0.25, 0.25, 0.25, 0.0, 0.0])
    state = refilled(levels)(dataclasses.replace(state, params=lengths(10, 3, 5, 7), shares=there))
    _, found = propose(random.key(2), state, openings(64))
    number, length = np.asarray(found.number), np.asarray(found.params.length)
    assert (number == 0).sum() == 16 and (length[number == 0] == 10).all()
    for row, asked in ((1, 3), (2, 5), (3, 7)):
        assert (length[number == row] == asked).all() and (number == row).sum() > 5
    # What is learnt most from comes up again and again.
    scores = jnp.asarray([-jnp.inf, 0.1, 0.2, 0.0, -jnp.inf, -jnp.inf])
    ranked = of_specs("plr", ENV, 6)
    buffer = dataclasses.replace(refilled(ranked)(state).levels.buffer, scores=scores)
    state = dataclasses.replace(state, levels=dataclasses.replace(state.levels, buffer=buffer))
    _, found = jax.jit(level_seat(ENV, ranked, 6, 4).propose)(random.key(2), state, openings(256))
    counts = [int((found.number == row).sum()) for row in (1, 2, 3)]
    assert counts[1] > counts[0] > counts[2] > 0


def test_of_a_family_what_is_not_the_original_is_as_the_environment_draws_it():
    levels = of_family("random", ENV, 8)
    seat = level_seat(ENV, levels, 6, 4)
    state = seat.init(random.key(0))
    state = dataclasses.replace(state, shares=jnp.asarray([0.25, 0, 0, 0, 0, 0]))
    asked = openings(8)
    _, found = seat.propose(random.key(1), state, asked)
    assert found.number.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(found.params.length[2:], asked.drawn.length[2:])


@pytest.mark.parametrize(
    ("loop", "curriculum"), [("dicode", "sfl"), pytest.param("levels", "sfl", marks=pytest.mark.slow)]
)
def test_a_loop_with_a_curriculum_counts_its_steps(loop, curriculum):
    config = dataclasses.replace(CONFIG, loop=loop, curriculum=curriculum, cycles=2, final_steps=0)
    found = generate(config, setting=hall_env.SETTING)
    steps = found.standing.steps
    assert steps["original"] == 2 / 8 * 2 * 1024 and steps["generated"] == 6 / 8 * 2 * 1024
    played = [e for e in [*found.standing.archive.entries.values()][1:] if e.episodes]
    if loop == "dicode":
        assert steps["scoring"] == 0 and len(played) >= 3
        # 6 slots, 16 updates, an episode at least in each rollout of 16 steps.
        assert sum(e.episodes for e in played) >= 6 * 16
    else:
        assert steps["scoring"] == 16 * 16 * 4 and not played  # 2 scouts for new levels, 2 for known ones


def test_mutation_goes_by_what_may_come_out_either_way():
    assert informativeness(Belief(50, 50)) == pytest.approx(1 - 2 * 0.5**4)
    assert informativeness(Belief(99, 0)) < informativeness(Belief(9, 1)) < informativeness(Belief(5, 5))
    archive = new_archive(hall.DOMAIN)
    first = mutated(hall.DOMAIN, archive, 3, random.key(0))
    again = mutated(hall.DOMAIN, archive, 3, random.key(0))
    assert first == again and len({p.identity for p in first.proposals}) == len(first.proposals) == 3
    assert {p.parents for p in first.proposals} == {(archive.original.identity,)}
    assert observed(archive, {archive.original.identity: (4, 2)}).original.belief.won == 2


def test_what_cannot_choose_is_refused():
    with pytest.raises(ValueError, match="known are plr, mna, sfl"):
        of_specs("sfk", ENV, 6)
    with pytest.raises(ValueError, match="'paired', which chooses no levels of a family"):
        of_family("paired", ENV, 8)
    with pytest.raises(ValueError, match="original-only leaves nothing to choose"):
        GenerateConfig(loop="original-only", curriculum="sfl")
    with pytest.raises(ValueError, match="chooses by rollouts"):
        GenerateConfig(loop="dicode", curriculum="sfl", unit="episodes")
