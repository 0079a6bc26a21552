"""The gymnax adapter against gymnax itself, and CartPole's flags against NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxrl_envs import available, check_env, from_gymnax, make

gymnax = pytest.importorskip("gymnax")
NAMES = [name for name in available("gymnax") if name != "MNISTBandit-bsuite"]  # that one downloads


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    check_env(make(name), steps=24, eager=name == "CartPole-v1")


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1", "FourRooms-misc", "MemoryChain-bsuite"])
def test_same_numbers_as_gymnax(name):
    """Forty steps of both from one key: every observation, reward and flag is the same."""
    env = make(name)
    theirs, params = gymnax.make(name)

    def both(key):
        obs, state = env.reset(key, env.params)
        obs_, state_ = theirs.reset_env(key, params)
        state_ = jax.tree.map(lambda x, like: jnp.asarray(x, like.dtype), state_, state)

        def body(carry, key):
            state, state_ = carry
            action = env.action_space.sample(key)
            out = env.step(key, state, action, env.params)
            new_obs, new, reward, terminated, _ = theirs.step_env(key, state_, action, params)
            truncated = theirs.is_truncated(new, params)
            new = jax.tree.map(lambda x, like: jnp.asarray(x, like.dtype), new, state)
            ours = (out.obs, out.reward, out.terminated, out.truncated)
            return (out.state, new), (ours, (new_obs, reward, terminated, truncated))

        return (obs, obs_), jax.lax.scan(body, (state, state_), jax.random.split(key, 40))[1]

    first, steps = jax.jit(both)(jax.random.key(3))
    np.testing.assert_allclose(*first, rtol=1e-6)
    for ours, expected in zip(*steps, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def euler(obs, action):
    """One CartPole step in float64, from Barto, Sutton and Anderson (1983) as in OpenAI gym."""
    x, v, angle, spin = np.asarray(obs, np.float64)
    force = 10.0 if action == 1 else -10.0
    push = (force + 0.05 * spin**2 * np.sin(angle)) / 1.1
    turn = (9.8 * np.sin(angle) - np.cos(angle) * push) / (0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1))
    pull = push - 0.05 * turn * np.cos(angle) / 1.1
    return np.array([x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn])


def cartpole_episode(policy, **options):
    """Steps until an end: (observation before, action, what step returned)."""
    env = make("CartPole-v1", **options)
    step = jax.jit(env.step)
    obs, state = env.reset(jax.random.key(5), env.params)
    steps = []
    while True:
        action = policy(np.asarray(obs))
        out = step(jax.random.key(0), state, jnp.asarray(action, jnp.int32), env.params)
        steps.append((obs, action, out))
        obs, state = out.obs, out.state
        if out.terminated or out.truncated:
            return steps


def balance(obs):
    x, v, angle, spin = obs
    return int(0.1 * x + 0.3 * v + 3.0 * angle + spin > 0)


def test_cartpole_limit_is_truncation_with_the_true_final_observation():
    steps = cartpole_episode(balance)
    assert len(steps) == 500
    obs, action, out = steps[-1]
    assert bool(out.truncated)
    assert not bool(out.terminated)
    np.testing.assert_allclose(out.obs, euler(obs, action), atol=1e-5)
    assert out.state.time == 500  # nothing was reset
    assert all(not s.truncated and not s.terminated and s.reward == 1.0 for *_, s in steps[:-1])


def test_cartpole_fall_is_termination_with_the_true_final_observation():
    steps = cartpole_episode(lambda obs: 1)
    obs, action, out = steps[-1]
    assert bool(out.terminated)
    assert not bool(out.truncated)
    np.testing.assert_allclose(out.obs, euler(obs, action), atol=1e-5)
    assert abs(out.obs[2]) > 12 * 2 * np.pi / 360
    assert out.reward == 1.0


def test_cartpole_falling_on_the_limit_sets_both_flags():
    fall = len(cartpole_episode(lambda obs: 1))
    for limit, terminated, truncated in [
        (fall, True, True),
        (fall - 1, False, True),
        (fall + 1, True, False),
    ]:
        *_, (_, _, out) = cartpole_episode(lambda obs: 1, max_steps_in_episode=limit)
        assert (bool(out.terminated), bool(out.truncated)) == (terminated, truncated)


def test_the_limit_can_be_vmapped():
    env = make("CartPole-v1")
    limits = jnp.asarray([1, 2, 3], jnp.int32)
    _, state = env.reset(jax.random.key(0), env.params)

    def flags(limit):
        params = dataclasses.replace(env.params, max_steps_in_episode=limit)
        first = env.step(jax.random.key(0), state, jnp.asarray(0, jnp.int32), params)
        second = env.step(jax.random.key(0), first.state, jnp.asarray(1, jnp.int32), params)
        return jnp.stack([first.truncated, second.truncated])

    np.testing.assert_array_equal(jax.jit(jax.vmap(flags))(limits), [[1, 1], [0, 1], [0, 0]])


def test_continuous_actions_are_clipped():
    env = make("MountainCarContinuous-v0")
    _, state = env.reset(jax.random.key(0), env.params)
    step = jax.jit(env.step)
    far, edge = (step(jax.random.key(0), state, jnp.full(1, a, jnp.float32), env.params) for a in (7.0, 1.0))
    assert far.reward == edge.reward == pytest.approx(-0.1)
    np.testing.assert_array_equal(far.obs, edge.obs)


@struct.dataclass
class CorridorState(gymnax.environments.environment.EnvState):
    place: jax.Array


@struct.dataclass
class CorridorParams(gymnax.environments.environment.EnvParams):
    width: int = 5
    max_steps_in_episode: int = 4


class Corridor(gymnax.environments.environment.Environment):
    """A user's environment with gymnax's loose types, and a parameter that sizes the observation."""

    default_params = CorridorParams()

    def reset_env(self, key, params):
        state = CorridorState(time=0, place=0)
        return self.get_obs(state, params), state

    def step_env(self, key, state, action, params):
        state = CorridorState(
            time=state.time + 1.0, place=jnp.clip(state.place + action, 0, params.width - 1)
        )
        return self.get_obs(state, params), state, [1], state.place == params.width - 1, {}

    def get_obs(self, state, params=None, key=None):
        return jnp.zeros(params.width).at[state.place].set(1)

    def observation_space(self, params):
        return gymnax.environments.spaces.Box(0, 1, (params.width,))

    def action_space(self, params):
        return gymnax.environments.spaces.Discrete(2)


def test_a_users_environment():
    env = from_gymnax(Corridor(), static=("width",), name="Corridor")
    assert env.params.width is None
    with pytest.warns(UserWarning, match="two different keys"):
        check_env(env, steps=8)
    assert env.reset(jax.random.key(0), env.params)[1].time.dtype == jnp.float32


def test_what_from_gymnax_refuses():
    with pytest.raises(ValueError, match=r"name that field in from_gymnax\(static"):
        from_gymnax(Corridor())
    with pytest.raises(TypeError, match=r"has no reset_env; from_gymnax takes a gymnax >= 1\.0 Environment"):
        from_gymnax(object())
    purerl = pytest.importorskip("gymnax.wrappers.purerl")
    with pytest.raises(TypeError, match="in gymnax's StickyActionWrapper, whose step is not called here"):
        from_gymnax(purerl.StickyActionWrapper(Corridor(), 0.5))

    class Nested(Corridor):
        def observation_space(self, params):
            return gymnax.environments.spaces.Dict({"a": gymnax.environments.spaces.Discrete(2)})

    with pytest.raises(
        ValueError, match=r"observation space of .* is a Dict; jaxrl_envs knows Box and Discrete"
    ):
        from_gymnax(Nested(), static=("width",))
    with pytest.raises(ValueError, match=r"parameter \.width is 'wide'; parameters are numbers"):
        from_gymnax(Corridor(), CorridorParams(width="wide"))


@pytest.mark.parametrize("limit", [-3, 0])
def test_a_time_limit_below_one_step_is_refused(limit):
    message = f"max_steps_in_episode is {limit}; it must be at least 1"
    with pytest.raises(ValueError, match=message):
        make("CartPole-v1", max_steps_in_episode=limit)
    environment, params = gymnax.make("CartPole-v1")
    with pytest.raises(ValueError, match=message):
        from_gymnax(environment, dataclasses.replace(params, max_steps_in_episode=limit))


def test_whole_numbers_may_be_written_with_an_exponent():
    limit = make("CartPole-v1", max_steps_in_episode=1e3).params.max_steps_in_episode
    assert limit == 1000 and limit.dtype == jnp.int32
    with pytest.raises(ValueError, match="max_steps_in_episode is 1.5; it must be int32"):
        make("CartPole-v1", max_steps_in_episode=1.5)


def test_a_bandits_time_stays_in_its_box_whatever_the_limit():
    env = make("BernoulliBandit-misc", max_steps_in_episode=200)
    _, state = env.reset(jax.random.key(0), env.params)
    late = dataclasses.replace(state, time=jnp.float32(199.0))
    out = env.step(jax.random.key(1), late, jnp.int32(0), env.params)
    assert float(out.obs[-1]) == 3.0 and env.observation_space.contains(np.asarray(out.obs))
