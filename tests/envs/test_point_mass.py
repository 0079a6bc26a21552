"""The point mass against closed forms of its motion."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import check_env, make
from jaxrl_envs.point_mass import sector


def test_contract():
    check_env(make("point/sectors", start=0.5), steps=24, eager=False)


@pytest.mark.parametrize(("drag", "sectors"), [(0.5, 3), (1.0, 5), (0.0, 3)])
def test_a_constant_push_moves_it_as_the_geometric_series_says(drag: float, sectors: int):
    """Speed after t steps is ``push a (1 - r^t) / (1 - r)`` with ``r = 1 - drag``; pushes beyond 1 count as 1."""
    env, given = make("point/sectors", drag=drag, push=0.2, sectors=sectors), np.array([-0.6, 3.0])
    _, state = env.reset(jax.random.key(0), env.params)
    np.testing.assert_array_equal(state.position, 0.0)

    def step(state: Any, _: None) -> Any:
        out = env.step(jax.random.key(0), state, jnp.asarray(given, jnp.float32), env.params)
        return out.state, out._replace(state=None)

    out = jax.jit(lambda s: jax.lax.scan(step, s, None, length=20)[1])(state)
    push, kept, t = 0.2 * np.clip(given, -1, 1), 1 - drag, np.arange(1, 21)
    speed = np.array([sum(kept**i for i in range(n)) for n in t])
    np.testing.assert_allclose(out.obs[:, 2:], speed[:, None] * push, rtol=1e-5)
    np.testing.assert_allclose(out.obs[:, :2], np.cumsum(speed)[:, None] * push, rtol=1e-5)
    np.testing.assert_array_equal(out.truncated, t >= 20)
    assert not out.terminated.any() and not out.reward.any()
    angle = np.arctan2(push[1], push[0]) % (2 * np.pi)
    expected = np.eye(sectors)[int(angle / (2 * np.pi) * sectors)]
    np.testing.assert_array_equal(out.info["sector"], np.tile(expected, (20, 1)))


def test_sectors_are_counted_from_the_first_axis_on():
    angles = np.array([0.0, 119.0, 121.0, 239.0, 241.0, 359.9]) * np.pi / 180
    places = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], 1))
    np.testing.assert_array_equal(sector(places), [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(sector(places, 2), [0, 0, 0, 1, 1, 1])
    assert int(sector(jnp.array([1.0, -1e-9]))) == 2  # rounding does not lead out of the last


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sectors": 1}, "sectors of point/sectors is 1; it must be a whole number of at least 2"),
        ({"drag": 1.5}, "drag of point/sectors is 1.5; it must be between 0 and 1"),
        ({"start": -1.0}, "start of point/sectors is -1; it must be at least 0"),
        ({"pusch": 1.0}, "has no option 'pusch'; did you mean 'push'"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        make("point/sectors", **options)
