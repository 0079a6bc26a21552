"""The brax adapter: limit and fall, true final observation, fresh resets, repeats, purity."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_envs import Box, available, check_env, from_brax, make

pytest.importorskip("brax")


@pytest.fixture(scope="module")
def hopper():
    env = make("brax/hopper", backend="spring", episode_length=6)
    return env, jax.jit(env.reset), jax.jit(env.step)


def test_hopper_limit_and_fall(hopper):
    """The fall is told from the observation that step returned: height below 0.7 or angle above 0.2."""
    env, reset, step = hopper
    _, state = reset(jax.random.key(0), env.params)
    action = jnp.ones(3, jnp.float32)
    fell = []
    for t in range(1, 200):
        out = step(jax.random.key(0), state, action, env.params)
        height, angle = np.asarray(out.obs)[:2]
        fell.append(not (height > 0.7 and abs(angle) < 0.2 and np.all(np.abs(out.obs[1:]) < 100)))
        assert bool(out.terminated) == fell[-1]
        assert bool(out.truncated) == (t >= 6)
        state = out.state
        if out.terminated:
            break
    assert fell[-1]
    assert len(fell) > 6  # it outlived the limit, so the two flags were seen apart


def test_hopper_clips_actions_and_leaves_inputs_alone(hopper):
    env, reset, step = hopper
    _, state = reset(jax.random.key(0), env.params)
    far = step(jax.random.key(0), state, jnp.full(3, 9.0, jnp.float32), env.params)
    edge = step(jax.random.key(0), state, jnp.ones(3, jnp.float32), env.params)
    np.testing.assert_array_equal(far.obs, edge.obs)
    assert far.reward == edge.reward


def test_hopper_resets_afresh(hopper):
    env, reset, _ = hopper
    first, second = (reset(jax.random.key(i), env.params)[0] for i in (0, 1))
    assert not np.allclose(first, second)


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
def test_contract_of_an_environment_without_physics():
    check_env(make("brax/fast"), steps=8)


@pytest.mark.parametrize("repeat", [1, 3])
def test_action_repeat_sums_rewards(repeat):
    """`fast` adds 0.02 to its speed per brax step and pays its position, so the sums are known."""
    env = make("brax/fast", action_repeat=repeat, episode_length=5)
    _, state = env.reset(jax.random.key(0), env.params)
    speed = position = 0.0
    for t in range(1, 7):
        out = env.step(jax.random.key(0), state, jnp.ones(1, jnp.float32), env.params)
        total = 0.0
        for _ in range(repeat):
            speed += 0.02
            position += 0.02 * speed
            total += position
        np.testing.assert_allclose(out.reward, total, rtol=1e-5)
        np.testing.assert_allclose(out.obs, [position, speed], rtol=1e-5)
        assert bool(out.truncated) == (t * repeat >= 5)
        assert not bool(out.terminated)
        state = out.state


@dataclasses.dataclass
class Countdown:
    """A brax-like environment that ends at its third step and writes into its metrics, as brax's do."""

    action_size: int = 1

    def reset(self, rng):
        from brax.envs.base import State

        zero = jnp.zeros(())
        return State(None, jnp.zeros(1), zero, zero, {"steps": zero})

    def step(self, state, action):
        steps = state.metrics["steps"] + 1
        state.metrics.update(steps=steps)
        return state.replace(obs=steps[None], reward=steps, done=jnp.where(steps == 3, 1.0, 0.0))


def test_a_termination_within_a_repeat_is_kept():
    env = from_brax(Countdown(), "Countdown", action_repeat=2)
    _, start = env.reset(jax.random.key(0), env.params)
    rewards, flags, state = [], [], start
    for _ in range(2):
        out = env.step(jax.random.key(0), state, jnp.zeros(1, jnp.float32), env.params)
        rewards.append(float(out.reward))
        flags.append(bool(out.terminated))
        state = out.state
    assert rewards == [1 + 2, 3]  # the fourth brax step is not taken
    assert flags == [False, True]
    assert out.obs == 3
    assert out.info["steps"] == 3
    assert start.brax.metrics["steps"] == 0  # eager calls too leave their input alone


class Around:
    """A wrapper of somebody's: it forwards, and leaves ``info`` in the first state."""

    def __init__(self, env, info=None):
        self.env, self.info, self.action_size = env, info or {}, env.action_size

    def reset(self, rng):
        return self.env.reset(rng).replace(info=self.info)

    def step(self, state, action):
        return self.env.step(state, 2 * action)


def test_wrapped_environments_are_refused():
    from brax.envs.wrappers import training

    class Named(training.EpisodeWrapper):
        pass

    bare = Countdown()
    many = Countdown()
    many.reset = lambda rng: jax.vmap(bare.reset)(jax.random.split(rng, 2))
    for environment, told in (
        (
            training.AutoResetWrapper(bare),
            "AutoResetWrapper, which resets inside step; from_brax takes the bare",
        ),
        (Around(training.EpisodeWrapper(bare, 5, 1)), "EpisodeWrapper, which turns a time limit into done"),
        (Named(bare, 5, 1), "Named, which turns a time limit into done"),
        (training.VmapWrapper(bare), "VmapWrapper, which steps a batch"),
        (
            Around(bare, {"first_obs": jnp.zeros(1)}),
            "has 'first_obs' in its state's info: .* resets inside step",
        ),
        (many, r"done has shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=f"^mine.*{told}") as raised:
            from_brax(environment, "mine")
        assert "\n" not in str(raised.value)
    with pytest.raises(TypeError, match="object has no reset; from_brax takes a brax Env"):
        from_brax(object(), "mine")


@dataclasses.dataclass
class Echo:
    """Observes, as a dictionary, what its actuators were told."""

    action_size: int = 2

    def reset(self, rng):
        from brax.envs.base import State

        return State(None, {"told": jnp.zeros(2)}, jnp.zeros(()), jnp.zeros(()))

    def step(self, state, action):
        return state.replace(obs={"told": action})


def told(env, action):
    _, state = env.reset(jax.random.key(0), env.params)
    return (
        env.step(jax.random.key(0), state, jnp.asarray(action, jnp.float32), env.params).obs["told"].tolist()
    )


def test_the_range_of_actions_can_be_said_and_holds():
    env = from_brax(Echo(), "Echo")
    assert env.observation_space == {"told": Box(-float("inf"), float("inf"), (2,))}
    assert told(env, [-3.0, 0.5]) == [-1.0, 0.5]
    wide = from_brax(Echo(), "Echo", action_range=(-2, (4.0, 0.25)))
    assert wide.action_space == Box(-2.0, (4.0, 0.25), (2,))
    assert told(wide, [-3.0, 0.5]) == [-2.0, 0.25]
    assert told(wide, [3.0, 0.0]) == [3.0, 0.0]
    assert told(from_brax(Around(Echo()), "Echo"), [0.5, 5.0])[:1] == [
        1.0
    ]  # a wrapper that only doubles actions
    for wrong in ((1.0, -1.0), (0.0, (1.0, 2.0, 3.0)), (float("nan"), 1.0), ("a", "b")):
        with pytest.raises(ValueError, match="^Echo: action_range is "):
            from_brax(Echo(), "Echo", action_range=wrong)


def test_an_unsupported_backend_is_one_sentence():
    with pytest.raises(ValueError, match="brax/swimmer cannot be made with backend 'spring'"):
        make("brax/swimmer", backend="spring")


def test_importing_brax_says_nothing():
    import subprocess
    import sys

    code = "import jaxrl_envs; jaxrl_envs.make('brax/inverted_pendulum')"
    out = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout == ""


@pytest.fixture(scope="module")
def pendulum():
    """Bodies of brax's own; what they weigh is told, nothing is simulated."""
    from brax import envs

    @dataclasses.dataclass
    class Scales:
        sys: object = dataclasses.field(
            default_factory=lambda: envs.get_environment("inverted_pendulum", backend="spring").sys
        )
        action_size: int = 1

        def reset(self, rng):
            from brax.envs.base import State

            told = jnp.concatenate([self.sys.link.inertia.mass, self.sys.geom_friction[:1, 0]])
            return State(None, told, jnp.zeros(()), jnp.zeros(()))

        def step(self, state, action):
            return state

    return Scales()


def test_masses_and_frictions_are_factors_of_the_bodies(pendulum):
    from jaxrl_envs.adapters.brax_bodies import scaled

    env = from_brax(pendulum, "Scales", masses=(0.5, 2.0), frictions=(1.0, 3.0))
    links, system = len(env.params.mass), pendulum.sys
    assert links > 1
    np.testing.assert_array_equal(
        env.reset(jax.random.key(0), env.params)[0], pendulum.reset(jax.random.key(0)).obs
    )
    drawn = jax.jit(jax.vmap(env.sample_params))(jax.random.split(jax.random.key(1), 400))
    mass, friction = np.asarray(drawn.mass), np.asarray(drawn.friction)
    assert 0.5 <= mass.min() < 0.52 and 1.9 < mass.max() <= 2.0 and abs(np.log(mass).mean()) < 0.1
    assert 1.0 <= friction.min() < 1.05 and 2.8 < friction.max() <= 3.0
    assert len({*mass[0].tolist(), *mass[1].tolist()}) == 2 * links  # every link by itself
    assert set(drawn.episode_length.tolist()) == {1000}
    seen = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 400), drawn)[0]
    np.testing.assert_allclose(seen[:, :links], mass * np.asarray(system.link.inertia.mass), rtol=1e-5)
    np.testing.assert_allclose(seen[:, links], friction * float(system.geom_friction[0, 0]), rtol=1e-5)
    other = scaled(system, drawn.mass[0], drawn.friction[0])
    np.testing.assert_allclose(other.body_mass, np.asarray(system.body_mass) * [1.0, *mass[0]], rtol=1e-5)
    np.testing.assert_allclose(
        other.link.inertia.i, np.asarray(system.link.inertia.i) * mass[0][:, None, None], rtol=1e-5
    )
    near = jax.jit(jax.vmap(env.edit_params))(jax.random.split(jax.random.key(2), 400), drawn)
    changed = (np.asarray(near.mass) != mass).sum(1) + (np.asarray(near.friction) != friction)
    assert changed.max() == 1 and changed.mean() > 0.9
    ratio = np.log(np.asarray(near.mass) / mass)
    assert np.abs(ratio).max() <= 0.25 * np.log(4) + 1e-5
    assert near.mass.min() >= 0.5 and near.mass.max() <= 2.0


def test_masses_and_frictions_that_cannot_be_are_refused(pendulum):
    for wrong in ((2.0, 1.0), (0.0, 1.0), 2.0, (1.0, float("nan")), "heavy"):
        with pytest.raises(ValueError, match="^Scales: masses is .*must be the pair .low, high. of factors"):
            from_brax(pendulum, "Scales", masses=wrong)
    with pytest.raises(ValueError, match="^Countdown has no system of bodies"):
        from_brax(Countdown(), "Countdown", frictions=(1.0, 2.0))
    assert from_brax(pendulum, "Scales").sample_params is None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["generalized", "spring", "positional", "mjx"])
def test_heavier_pendulums_move_less(backend):
    env = make("brax/inverted_pendulum", backend=backend, masses=(0.5, 4.0), frictions=(0.5, 2.0))
    check_env(env, steps=4, eager=False)
    weights = jnp.asarray([0.5, 1.0, 4.0])
    params = jax.vmap(lambda w: env.params.replace(mass=w * env.params.mass))(weights)

    def moved(params):
        state = env.reset(jax.random.key(0), params)[1]
        return env.step(jax.random.key(0), state, jnp.ones(1, jnp.float32), params).obs[2]

    speeds = np.asarray(jax.jit(jax.vmap(moved))(params))
    assert speeds[0] > speeds[1] > speeds[2] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["generalized", "spring", "positional", "mjx"])
@pytest.mark.parametrize("name", [n for n in available("brax") if n != "brax/fast"])
def test_contract(name, backend):
    if name == "brax/swimmer" and backend != "generalized":
        pytest.skip("brax has the swimmer on the generalized backend only")
    check_env(make(name, backend=backend), steps=4, eager=False)
