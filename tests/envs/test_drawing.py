"""Pictures show what the state says: the right shape, and things where they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import drawing, make


def where(frame, colour):
    """Mean row and column of the pixels near a colour."""
    near = np.abs(frame.astype(int) - np.asarray(colour)).sum(-1) < 40
    return np.argwhere(near).mean(0)


@pytest.mark.parametrize("name", drawing.CLASSIC_CONTROL)
def test_classic_control_frames(name):
    env = make(name)
    _, state = env.reset(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    assert frame.shape == (240, 320, 3)
    assert frame.dtype == np.uint8
    assert frame.std() > 5


def test_cart_and_pole_move_as_the_state_does():
    env = make("CartPole-v1")
    _, state = env.reset(jax.random.key(0), env.params)
    at = lambda x, angle: env.render(
        state.replace(x=jnp.asarray(x, jnp.float32), theta=jnp.asarray(angle, jnp.float32)), env.params
    )
    assert where(at(-1.0, 0.0), drawing._BLUE)[1] < 130 < 190 < where(at(1.0, 0.0), drawing._BLUE)[1]
    assert where(at(0.0, -0.2), drawing._RED)[1] < where(at(0.0, 0.2), drawing._RED)[1]


def test_pendulum_hangs_below_its_pivot():
    env = make("Pendulum-v1")
    _, state = env.reset(jax.random.key(0), env.params)
    down = env.render(state.replace(theta=jnp.asarray(np.pi, jnp.float32)), env.params)
    up = env.render(state.replace(theta=jnp.asarray(0.0, jnp.float32)), env.params)
    assert where(up, drawing._RED)[0] < 120 < where(down, drawing._RED)[0]


def test_board_shows_the_last_channel_set():
    cells = np.zeros((2, 3, 2), np.float32)
    cells[0, 0, 0] = cells[1, 2, 0] = cells[1, 2, 1] = 1
    frame = drawing.board(cells, cell=4)
    assert frame.shape == (8, 12, 3)
    colours = [tuple(int(v) for v in c) for c in frame[::4, ::4].reshape(-1, 3)]
    empty, first, second = colours[1], colours[0], colours[5]
    assert colours == [first, empty, empty, empty, empty, second]
    assert len({empty, first, second}) == 3


def test_boards_of_the_suites():
    for name, shape in [("Breakout-MinAtar", (160, 160, 3)), ("FourRooms-misc", (208, 208, 3))]:
        env = make(name)
        _, state = env.reset(jax.random.key(0), env.params)
        assert env.render(state, env.params).shape == shape
    assert make("GaussianBandit-misc").render is None


def test_bodies_are_drawn_where_they_are():
    low, high = np.array([0.0, 0.0, 0.1]), np.array([0.0, 0.0, 2.0])
    lying, standing = (low, low + [1.0, 0, 0], 0.1), (low, high, 0.1)
    flat, tall = (drawing.bodies([c], (0, 2), 5.0, True) for c in (lying, standing))
    assert flat.shape == tall.shape == (240, 320, 3)
    assert where(tall, drawing._BLUE)[0] < where(flat, drawing._BLUE)[0] - 30
    assert where(flat, drawing._BLUE)[1] > 170


def test_brax_frame():
    pytest.importorskip("brax")
    env = make("brax/hopper", backend="spring")
    _, state = jax.jit(env.reset)(jax.random.key(0), env.params)
    frame = env.render(state, env.params)
    tall = where(frame, drawing._BLUE)
    assert frame.shape == (240, 320, 3)
    assert abs(tall[1] - 160) < 20
