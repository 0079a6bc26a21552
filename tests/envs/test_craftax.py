"""The craftax adapter: death and lava apart from the step limit, on a small map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import check_env, make

pytest.importorskip("craftax")
NOOP = jnp.asarray(0, jnp.int32)


@pytest.fixture(scope="module")
def classic():
    env = make("craftax/Craftax-Classic-Symbolic-v1", map_size=(16, 16), max_timesteps=3)
    return env, jax.jit(env.reset), jax.jit(env.step)


def test_limit_is_truncation(classic):
    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    for t in range(1, 5):
        out = step(jax.random.key(t), state, NOOP, env.params)
        assert bool(out.truncated) == (t >= 3)
        assert not bool(out.terminated)
        assert out.state.timestep == t
        state = out.state


def test_death_and_lava_are_termination(classic):
    from craftax.craftax_classic.constants import BlockType

    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    x, y = state.player_position
    lava = state.replace(map=state.map.at[x, y].set(BlockType.LAVA.value))
    dead = state.replace(player_health=jnp.asarray(-5, jnp.int32))
    for start in (lava, dead):
        out = step(jax.random.key(0), start, NOOP, env.params)
        assert bool(out.terminated)
        assert not bool(out.truncated)
    both = step(jax.random.key(0), dead.replace(timestep=jnp.asarray(2, jnp.int32)), NOOP, env.params)
    assert bool(both.terminated)
    assert bool(both.truncated)


def test_the_observation_is_of_the_returned_state(classic):
    from craftax.craftax_classic.renderer import render_craftax_symbolic

    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    out = step(jax.random.key(0), state.replace(player_health=jnp.asarray(-5, jnp.int32)), NOOP, env.params)
    np.testing.assert_allclose(out.obs, jax.jit(render_craftax_symbolic)(out.state))


def test_achievements_have_one_shape_and_names(classic):
    from jaxrl_envs.adapters.craftax import achievements

    env, reset, step = classic
    _, state = reset(jax.random.key(0), env.params)
    assert list(step(jax.random.key(0), state, NOOP, env.params).info) == ["achievements"]
    assert env.metrics == ("achievements",)
    names = achievements(env.name)
    first = names.index("wake_up")
    state = state.replace(achievements=state.achievements.at[first].set(True))
    won = step(jax.random.key(0), state, NOOP, env.params).info["achievements"]
    assert won.shape == (len(names),) == (22,)
    assert won.dtype == bool
    assert bool(won[first])


def test_options_are_checked():
    for wrong in (16, (16,), (16.0, 16), "16"):
        with pytest.raises(ValueError, match=r"map_size is .*; it must be a pair of whole numbers"):
            make("craftax/Craftax-Classic-Symbolic-v1", map_size=wrong)
    with pytest.raises(ValueError, match="has no option 'mapsize'; did you mean 'map_size'"):
        make("craftax/Craftax-Classic-Symbolic-v1", mapsize=(16, 16))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("game", ["Craftax-Classic", "Craftax"])
@pytest.mark.parametrize("view", ["Symbolic", "Pixels"])
def test_contract(game, view):
    check_env(make(f"craftax/{game}-{view}-v1", map_size=(16, 16)), steps=4, eager=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_render():
    env = make("craftax/Craftax-Classic-Symbolic-v1", map_size=(16, 16))
    _, state = jax.jit(env.reset)(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    assert frame.dtype == np.uint8
    assert frame.shape == (144, 144, 3)
    assert frame.std() > 10
