"""Arms of a run: tasks of each, what rows say of them, and other arms than there are statistics of."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import Coin, coins

from jaxrl_envs import Arms
from jaxrl_evolve import random
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training.arms import allocation, check_arms, tasks_of_arms
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.probes import told


def test_tasks_of_an_arm_are_its_own_and_can_be_solved_where_that_is_possible():
    """The chance of an even arm is one of two, of which the lower one counts as hopeless; the last arm is hopeless."""
    import dataclasses

    def sample(key: Any, arm: Any) -> Coin:
        low = jax.random.bernoulli(key)
        return Coin(
            jnp.where(arm == 2, 0.0, jnp.where(low & (arm == 0), 0.25, 0.5 + arm / 4)).astype(jnp.float32)
        )

    env = dataclasses.replace(coins(), solvable=lambda coin: coin.p > 0.3)
    levels, found = tasks_of_arms(env, Arms(("a", "b", "c"), sample), 16, random.key(0))
    assert np.asarray(levels.p).reshape(3, 16).tolist() == [[0.5] * 16, [0.75] * 16, [0.0] * 16]
    assert found.tolist() == [[True] * 16, [True] * 16, [False] * 16]


def test_rows_say_who_was_drawn_who_starved_and_what_was_forgotten():
    row = lambda shares, success: {
        f"curriculum_{what}_{arm}": x
        for what, values in (("share", shares), ("success", success))
        for arm, x in zip(("a_1", "b"), values, strict=True)
    }
    rows = [
        row(([0.98, 0.5], [0.02, 0.5]), ([0.9, 0.2], [0.0, 0.1])),
        row(([0.97, 0.6], [0.03, 0.4]), ([0.4, 0.3], [None, 0.2])),
    ]
    first, second = allocation(rows, ("a 1", "b"))
    assert (first["share"].tolist(), second["share"].tolist()) == ([0.97, 0.6], [0.03, 0.4])
    assert (first["starved_rows"].tolist(), second["starved_rows"].tolist()) == ([0, 0], [2, 0])
    np.testing.assert_allclose(first["forgotten"], [0.5, 0.0])
    np.testing.assert_allclose(second["forgotten"], [np.nan, 0.0])
    assert allocation([{"loss": [1.0]}], ("a",)) == allocation([], ("a",)) == []
    first, second = allocation(rows, ("a 1", "b"), np.array([True, False]))
    assert (first["starved_rows"].tolist(), second["starved_rows"].tolist()) == ([0, 0], [0, 0])


def test_a_run_goes_on_with_the_arms_that_it_was_started_with(tmp_path: Any):
    def check(there: Any, *now: str) -> None:
        with Checkpoints(tmp_path / "-".join(there or ["none"]) / "checkpoints") as stored:
            if not stored.steps():
                stored.save(3, {"x": jnp.zeros(1)}, {} if there is None else {"arms": there})
            host = Host(None, {}, {}, resuming=True, seconds={}, checkpoints=stored)
            check_arms(host, Arms(now, lambda key, arm: arm), None)

    check(["a", "b"], "a", "b")
    check(None, "a")  # of a version that did not name them
    for now, said in (
        (("a", "c"), r"statistics of the arms a, b, but there are now a, c \(c came and b went\)"),
        (
            ("a", "b", "c"),
            r"there are now a, b, c \(c came\): a run goes on with the arms that it was started with",
        ),
        (("b", "a"), r"\(their order changed\)"),
    ):
        with pytest.raises(ValueError, match=said):
            check(["a", "b"], *now)


def test_a_probe_set_tells_what_was_known_before():
    earlier = [{"eval_on_probe": [[1.0, 0.0], [0.5, 0.5]]}, {"loss": [0.0]}]
    row = told(np.array([[0.5, 1.0], [0.5, 0.0]]), earlier)
    assert row["eval_forgotten"].tolist() == [0.25, 0.25]
    assert told(np.array([[0.5, 1.0]]), [])["eval_forgotten"].tolist() == [0.0]
