"""The exact optimum against enumeration in NumPy, simulation, and random policies."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_envs.gridworlds import (
    LEVELS,
    Object,
    from_level,
    hand_made_level,
    make_level,
    optimal_actions,
    optimal_return,
    sample_level,
)

MOVES = {
    5: [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)],
    9: list(itertools.product((-1, 0, 1), repeat=2)),
}
TINY = {
    "two good": (2, 2, (0, 0), [Object(1.0, 0.0, 0.3, (0, 1)), Object(0.5, 0.2, 0.1, (1, 0))], 5, []),
    "trade": (
        2,
        3,
        (0, 0),
        [Object(1.0, 0.6, 0.2, (0, 2)), Object(-0.3, 0.0, 0.5, (0, 1)), Object(0.2, 0.0, 1.0, (1, 0))],
        6,
        [(1, 1)],
    ),
    "shared cell": (1, 2, (0, 1), [Object(1.0, 0.7, 0.4, (0, 0)), Object(-0.4, 0.6, 0.1, (0, 0))], 7, []),
    "chances above one": (
        1,
        1,
        (0, 0),
        [Object(1.0, 0.7, 0.4, (0, 0)), Object(0.5, 0.6, 1.0, (0, 0))],
        5,
        [],
    ),
    "all bad": (2, 2, (0, 0), [Object(-1.0, 0.0, 1.0, (0, 1))], 9, []),
}


optimum = program(optimal_return, "moves")


def enumerated(height, width, start, objects, steps, walls, moves=5):
    """The optimum by recursion over states, summing over every set of objects that may come back."""

    def moved(cell, step):
        row, column = cell[0] + step[0], cell[1] + step[1]
        free = 0 <= row < height and 0 <= column < width and (row, column) not in walls
        return (row, column) if free else cell

    @functools.cache
    def value(left, cell, exists):
        if left == 0:
            return 0.0
        return max(arrive(left, moved(cell, step), exists) for step in MOVES[moves])

    @functools.cache
    def arrive(left, cell, exists):
        taken = [k for k in exists if objects[k].cell == cell]
        absent = [k for k in range(len(objects)) if k not in exists]
        later = 0.0
        for back in itertools.product((False, True), repeat=len(absent)):
            p = np.prod(
                [
                    objects[k].p_respawn if b else 1 - objects[k].p_respawn
                    for k, b in zip(absent, back, strict=True)
                ]
            )
            then = (exists - set(taken)) | {k for k, b in zip(absent, back, strict=True) if b}
            later += p * value(left - 1, cell, frozenset(then))
        stop = min(1.0, sum(objects[k].p_terminate for k in taken))
        return sum(objects[k].reward for k in taken) + (1 - stop) * later

    return value(steps, start, frozenset(range(len(objects))))


@pytest.mark.parametrize("moves", [5, 9])
@pytest.mark.parametrize("name", TINY)
def test_optimum_is_that_of_enumeration(name, moves):
    height, width, start, objects, steps, walls = TINY[name]
    expected = enumerated(*TINY[name], moves=moves)
    for shape, slots in [(None, None), ((3, 4), 4)]:
        level = make_level(height, width, start, objects, steps, walls, shape, slots)
        got = optimum(level, moves)
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)
    if name == "all bad":
        assert expected == 0.0


def test_closed_forms():
    good = lambda p, cell: Object(1.0, 0.0, p, cell)
    walk = make_level(1, 5, (0, 0), [good(0.0, (0, 4))], 50)
    assert optimum(walk) == 1.0
    short = make_level(1, 5, (0, 0), [good(0.0, (0, 4))], 3)
    assert optimum(short) == 0.0
    # On the spot: taken at 1, back at 2, taken at 3, …
    spot = make_level(1, 1, (0, 0), [good(1.0, (0, 0))], 9)
    assert optimum(spot) == 5.0


def test_vmapped_over_levels_with_other_limits():
    many = jax.vmap(lambda key: sample_level(key, "small"))
    levels = program(lambda key: many(jax.random.split(key, 4)))(jax.random.key(2))
    together = program(jax.vmap(optimal_return))(levels)
    alone = [optimum(jax.tree.map(lambda x, i=i: x[i], levels)) for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    assert len(np.unique(levels.max_steps)) > 1


def returns(env, level, act, episodes, steps, key):
    """Undiscounted returns of whole episodes; ``act(t, obs, key)``."""

    def episode(key):
        key_start, key_play = jax.random.split(key)
        obs, state = env.reset(key_start, level)

        def body(carry, t):
            obs, state, live = carry
            key_act, key_step = jax.random.split(jax.random.fold_in(key_play, t))
            out = env.step(key_step, state, act(t, obs, key_act), level)
            return (out.obs, out.state, live & ~out.terminated), jnp.where(live, out.reward, 0.0)

        carry = (obs, state, jnp.bool_(True))
        return jax.lax.scan(body, carry, jnp.arange(steps, dtype=jnp.int32))[1].sum()

    return np.asarray(jax.jit(jax.vmap(episode))(jax.random.split(key, episodes)), np.float64)


@pytest.mark.parametrize("name", ["drawn", "longer"])
def test_the_optimal_policy_earns_the_optimum(name):
    """Simulated mean return within four standard errors of the number from backward induction."""
    if name == "drawn":
        level = jax.jit(sample_level, static_argnums=1)(jax.random.key(11), "small")
        steps = int(level.max_steps)
    else:
        made = LEVELS[name]
        level, steps = make_level(made.height, made.width, made.start, made.objects, 60, made.walls), 60
    best = float(jax.jit(optimal_return)(level))
    table = jax.jit(optimal_actions, static_argnums=1)(level, steps)
    assert table.shape == (steps, 2**level.reward.size * level.walls.size)
    env = from_level(level)
    played = returns(env, level, lambda t, obs, key: table[t, obs], 4000, steps, jax.random.key(1))
    assert best > 0
    assert abs(played.mean() - best) < 4 * played.std() / np.sqrt(len(played)) + 1e-6


def test_the_optimum_bounds_random_policies():
    """A thousand random deterministic policies, each by its mean over episodes, and its luck."""
    level = jax.jit(sample_level, static_argnums=1)(jax.random.key(11), "small")
    env, steps = from_level(level), int(level.max_steps)
    best = float(jax.jit(optimal_return)(level))

    def policy(key):
        table = jax.random.randint(key, (env.observation_space.n,), 0, 5, jnp.int32)

        def episode(key):
            def body(carry, key):
                obs, state, live = carry
                out = env.step(key, state, table[obs], level)
                return (out.obs, out.state, live & ~out.terminated), jnp.where(live, out.reward, 0.0)

            carry = (*env.reset(key, level), jnp.bool_(True))
            return jax.lax.scan(body, carry, jax.random.split(key, steps))[1].sum()

        return jax.vmap(episode)(jax.random.split(key, 16))

    played = np.asarray(jax.jit(jax.vmap(policy))(jax.random.split(jax.random.key(0), 1000)))
    means, errors = played.mean(1), played.std(1, ddof=1) / 4
    assert (means <= best + 5 * errors + 1e-4).all()
    assert means.max() > 0.1 * best  # the bound is not idle


@pytest.mark.core
def test_optima_of_the_hand_made_levels():
    """More than nothing, and never more than the most that walking allows."""
    optimum = jax.jit(optimal_return)
    found = {name: float(optimum(hand_made_level(name))) for name in LEVELS if not name.startswith("rand")}
    assert found["sparse"] == 1.0
    assert 20 < found["dense"] < 2 * (1 + 500 * 0.05)
    assert 1.5 < found["long"] < 2 * (1 + 1000 * 0.01)
    assert 1.0 < found["longer"] < 10.0
    assert 4.0 < found["long-dense"] < 4 * (1 + 2000 * 0.005)
