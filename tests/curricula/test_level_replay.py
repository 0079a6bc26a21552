"""Level replay behind the curriculum's interface: proposals and scores go to the buffer and back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.curricula.level_buffer import NEW, BufferConfig
from jaxrl_evolve.curricula.level_replay import Scored, level_replay, shapes
from jaxrl_evolve.runs.tasks import Openings

N = 4


def test_proposals_are_new_levels_until_scores_are_known_and_none_that_is_played():
    curriculum = level_replay(
        BufferConfig(capacity=3, replay_probability=1.0), shapes(jnp.float32(0)), lambda scored: scored
    )
    drawn = jnp.arange(10.0, 10.0 + N)
    everyone, nobody = jnp.ones(N, bool), jnp.full(N, NEW, jnp.int32)
    state = curriculum.init(jax.random.key(0))
    state, first = curriculum.propose(jax.random.key(1), state, Openings(drawn, everyone, nobody))
    np.testing.assert_array_equal(first.params, drawn)
    assert (first.number == NEW).all()

    score = jnp.asarray([1.0, jnp.nan, 3.0, 2.0])
    state = curriculum.record(state, Scored(first, score, jnp.asarray([True, True, True, False])))
    assert float(curriculum.metrics(state)["buffer_fill"]) == np.float32(2 / 3)
    assert float(curriculum.metrics(state)["buffer_score"]) == 2.0

    state, second = curriculum.propose(jax.random.key(2), state, Openings(drawn + 90.0, everyone, nobody))
    # Two levels are known; they go to the first two who want one, the others get the new ones.
    assert sorted(np.asarray(second.params[:2]).tolist()) == [10.0, 12.0]
    np.testing.assert_array_equal(second.params[2:], drawn[2:] + 90.0)
    assert sorted(second.number.tolist()) == [NEW, NEW, 0, 1]

    wanted = jnp.asarray([False, True, True, True])
    playing = jnp.where(second.params == 12.0, second.number, NEW)
    _, third = curriculum.propose(jax.random.key(3), state, Openings(drawn, wanted, playing))
    assert np.asarray(third.params).tolist() == [10.0, 10.0, 12.0, 13.0]  # the first has none of the buffer's
    assert third.number[0] == NEW
    assert third.number[1] == second.number[jnp.argmax(second.params == 10.0)]


def test_the_metrics_of_an_empty_buffer_are_numbers():
    curriculum = level_replay(BufferConfig(capacity=2), shapes(jnp.float32(0)), lambda scored: scored)
    assert {float(x) for x in curriculum.metrics(curriculum.init(jax.random.key(0))).values()} == {0.0}
