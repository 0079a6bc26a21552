"""n-step returns of windows against a loop, for every n and every place of an end."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.experience.n_step import n_step
from jaxrl_evolve.experience.replay import Window

H, GAMMA = 10, 0.9


def window(terminated: np.ndarray, truncated: np.ndarray, known: bool = True) -> Window:
    batch = terminated.shape[0]
    reward = np.arange(1, H + 1, dtype=np.float32) * np.ones((batch, 1), np.float32)
    return Window(
        frames=jnp.zeros((batch, H + 1)),
        action=jnp.zeros((batch, H), jnp.int32),
        reward=jnp.asarray(reward),
        terminated=jnp.asarray(terminated),
        ended=jnp.asarray(terminated | truncated),
        begin=jnp.zeros((batch,), jnp.int32),
        known=jnp.full((batch,), known),
    )


def by_hand(n: int, ends: list[tuple[bool, bool]], legacy: bool) -> tuple[float, float, int]:
    total = 0.0
    for k in range(n):
        total += GAMMA**k * (k + 1)
        terminated, truncated = ends[k]
        if legacy and k == n - 1:  # an end of the last step is missed
            terminated = truncated = False
        if terminated:
            return total, 0.0, k + 1
        if truncated:
            return total, GAMMA ** (k + 1), k + 1
    return total, GAMMA**n, n - 1 if legacy else n


@pytest.mark.parametrize("legacy", [False, True])
def test_every_n_and_every_place_of_an_end(legacy: bool):
    ends = [[(False, False)] * H]
    for kind in ((True, False), (False, True), (True, True)):
        for place in range(H):
            # Whatever ends after the first end is of another episode.
            ends.append([(False, False)] * place + [kind] + [(True, False)] * (H - place - 1))
    flags = np.array(ends)
    for n in range(1, H + 1):
        found = n_step(window(flags[..., 0], flags[..., 1]), n, GAMMA, legacy)
        expected = [by_hand(n, row, legacy) for row in ends]
        np.testing.assert_allclose(found.reward, [e[0] for e in expected], rtol=1e-5)
        np.testing.assert_allclose(found.discount, [e[1] for e in expected], rtol=1e-5)
        wanted = [e[2] for e in expected]
        bootstrapped = np.array([e[1] > 0 for e in expected])
        np.testing.assert_array_equal(np.asarray(found.offset)[bootstrapped], np.array(wanted)[bootstrapped])
        assert found.known.all()


def test_a_return_whose_successor_is_lost_says_nothing_unless_the_task_ended():
    cut, over, neither = ((False, True), (True, True), (False, False))
    flags = np.array([[kind] + [(False, False)] * (H - 1) for kind in (cut, over, neither)])
    later = np.array([[(False, False)] * 5 + [(False, True)] * 5])
    assert n_step(window(flags[..., 0], flags[..., 1], False), 3, GAMMA).known.tolist() == [False, True, True]
    assert n_step(window(later[..., 0], later[..., 1], False), 5, GAMMA).known.tolist() == [True]
    assert n_step(window(later[..., 0], later[..., 1], False), 6, GAMMA).known.tolist() == [False]


def test_what_belongs_to_another_episode_may_be_no_number():
    flags = np.zeros((1, H), bool)
    flags[0, 2] = True
    w = window(flags, np.zeros_like(flags))
    w = w.replace(reward=w.reward.at[:, 3:].set(jnp.nan))
    assert float(n_step(w, 5, GAMMA).reward[0]) == pytest.approx(1 + 2 * GAMMA + 3 * GAMMA**2)
