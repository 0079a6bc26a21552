"""Wrappers against NumPy: what each shows, pays and ends, also across the ends of episodes."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
import same

import jaxrl_envs
from jaxrl_envs import (
    Box,
    Discrete,
    Env,
    EnvError,
    EnvStep,
    check_env,
    clip_rewards,
    flatten_actions,
    flatten_observations,
    frame_stack,
    make,
    registry,
    rescale_actions,
    scale_rewards,
    sticky_actions,
    time_aware,
    time_limit,
)
from jaxrl_envs.keywords import reject_unknown
from jaxrl_envs.resets import FullResets, OptimisticResets, PoolResets
from jaxrl_envs.vector import vectorize
from jaxrl_envs.wrappers import WRAPPERS, variants, wrapped

N, T = 4, 60


def played(env: Env, params: Any = None, per_slot: bool = False, resets: Any = None) -> dict[str, np.ndarray]:
    """Random steps of ``N`` slots as NumPy, ``[T, N, ...]``: slots before and after, actions, keys, what was seen."""
    venv = vectorize(env, N, resets, params_per_slot=per_slot)
    params = env.params if params is None else params

    def step(state: Any, key: Any) -> Any:
        action = jax.vmap(env.action_space.sample)(jax.random.split(jax.random.fold_in(key, 1), N))
        after, seen = venv.step(key, state, action, params)
        return after, {"before": state, "after": after, "action": action, **seen._asdict()}

    def run(key: Any) -> Any:
        return jax.lax.scan(step, venv.reset(key, params), jax.random.split(key, T))[1]

    return jax.tree.map(np.asarray, jax.jit(run)(jax.random.key(3)))


def test_a_time_limit_truncates_with_the_true_successor():
    """Each slot has a limit of its own; the environment's own ends are as they were."""
    env = time_limit(probes.scripted_env(), 3)
    assert int(env.params.max_steps_in_episode) == 3
    limits = np.asarray([1, 2, 3, 99], np.int32)
    params = env.params.replace(env=jnp.ones(N, jnp.float32), max_steps_in_episode=jnp.asarray(limits))
    seen = played(env, params, per_slot=True)
    number, time = np.moveaxis(seen["before"].obs.astype(int), -1, 0)
    terminated, truncated = probes.script(number, time)
    np.testing.assert_array_equal(seen["terminated"], terminated)
    np.testing.assert_array_equal(seen["truncated"], truncated | (time + 1 >= limits))
    np.testing.assert_array_equal(seen["next_obs"], np.stack([number, time + 1], -1))
    ended = seen["terminated"] | seen["truncated"]
    np.testing.assert_array_equal(seen["after"].env.time, np.where(ended, 0, time + 1))
    assert (seen["truncated"] & ~truncated).sum(0).tolist()[3] == 0
    assert ((seen["truncated"] & ~truncated).sum(0)[:3] > 0).all()


def test_a_time_limit_ends_what_is_reported_as_well():
    """The game of ``info`` goes on for ever: returns and lengths begin anew where the limit cuts it off all the same."""
    script = probes.scripted_env()

    def step(*given: Any) -> EnvStep:
        out = script.step(*given)
        no = jnp.zeros((), bool)
        return out._replace(terminated=no, truncated=no, info={**out.info, "game_over": no})

    seen = played(time_limit(dataclasses.replace(script, step=step), 3))
    third = np.arange(T) % 3 == 2
    np.testing.assert_array_equal(seen["info"]["game_over"], np.repeat(third[:, None], N, 1))
    np.testing.assert_array_equal(seen["episode_length"], np.repeat(np.arange(T)[:, None] % 3 + 1, N, 1))


def test_the_time_is_seen_as_a_share_of_the_limit_of_each_slot():
    """Of a horizon that is said where there is one; it never exceeds 1, and the last observation of an episode has the time that is over."""
    limits = np.asarray([1, 2, 3, 99], np.int32)
    env = time_aware(time_limit(probes.scripted_env(), 3))
    params = env.params.replace(env=jnp.ones(N, jnp.float32), max_steps_in_episode=jnp.asarray(limits))
    seen = played(env, params, per_slot=True)
    time = seen["before"].obs[..., 1]
    np.testing.assert_allclose(seen["before"].obs[..., -1], time / limits, rtol=1e-6)
    np.testing.assert_allclose(seen["next_obs"][..., -1], (time + 1) / limits, rtol=1e-6)
    assert (seen["before"].first & (seen["before"].obs[..., -1] != 0)).sum() == 0
    said = played(time_aware(probes.scripted_env(), 2))
    np.testing.assert_allclose(said["next_obs"][..., -1], np.minimum((said["before"].obs[..., 1] + 1) / 2, 1))
    space = env.observation_space
    assert isinstance(space, Box) and space.shape == (3,)
    assert (space.bound("low")[-1], space.bound("high")[-1]) == (0, 1)


def test_the_time_is_shown_where_that_means_something():
    with pytest.raises(ValueError, match="scripted has no time limit that is known; say the horizon"):
        time_aware(probes.scripted_env())
    with pytest.raises(ValueError, match="horizon is -1; it must be a whole number"):
        time_aware(probes.scripted_env(), -1)
    with pytest.raises(ValueError, match=r"observations are Discrete\(n=3\); time_aware needs vectors"):
        time_aware(constant(jnp.int32(2), Discrete(3)), 4)


def test_a_stack_begins_anew_and_ends_with_the_true_last_observation():
    seen = played(frame_stack(probes.scripted_env(), 3))
    stack = np.zeros((N, 3, 2))
    for t in range(T):
        shown = seen["before"].obs[t].reshape(N, 3, 2)
        # The last frame is the one that the environment shows now; an episode begins with it three times.
        first = seen["before"].first[t]
        stack = np.where(first[:, None, None], shown[:, -1:], stack)
        np.testing.assert_array_equal(shown, stack)
        assert (stack[first, :, 1] == 0).all()
        successor = stack[:, -1] + [0, 1]
        stack = np.concatenate([stack[:, 1:], successor[:, None]], 1)
        np.testing.assert_array_equal(seen["next_obs"][t].reshape(N, 3, 2), stack)
    assert seen["before"].first[1:].sum() > N


TWO = Discrete(2)


def constant(obs: Any, space: Any, action_space: Any = TWO) -> Env:
    """Shows ``obs`` for ever, and in ``info`` the action that it was given."""
    step = lambda key, state, action, params: EnvStep(
        obs, state, jnp.float32(0), jnp.zeros((), bool), jnp.zeros((), bool), {"action": action}
    )
    return Env("constant", lambda key, params: (obs, ()), step, (), space, action_space)


def test_a_stack_lies_along_the_last_axis():
    image = constant(jnp.zeros((3, 2, 2), jnp.uint8), Box(0, (1,) * 11 + (9,), (3, 2, 2), "uint8"))
    env = frame_stack(image, 4)
    assert (env.observation_space.shape, env.observation_space.dtype_name) == ((3, 2, 8), "uint8")
    np.testing.assert_array_equal(env.observation_space.bound("high")[-1, -1], [1, 9] * 4)
    assert env.reset(jax.random.key(0), ())[0].shape == (3, 2, 8)
    assert frame_stack(constant(jnp.float32(2), Box(0.0, 3.0, ())), 2).observation_space == Box(
        0.0, 3.0, (2,)
    )
    with pytest.raises(ValueError, match=r"observations are Discrete\(n=3\); frame_stack needs a Box"):
        frame_stack(constant(jnp.int32(2), Discrete(3)))
    with pytest.raises(ValueError, match="frames is 0; it must be a whole number of at least 1"):
        frame_stack(image, 0)


def test_nested_observations_become_one_vector():
    obs = {
        "pair": (jnp.int32(1), jnp.asarray([[-5, 7]], jnp.int32)),
        "frame": jnp.asarray([0, 51, 255], jnp.uint8),
        "bit": jnp.asarray([1], jnp.uint8),
        "speed": jnp.float32(-2.5),
    }
    space = {
        "pair": (Discrete(3), Box((-6, 0), (0, 9), (1, 2), "int32")),
        "frame": Box(0, 255, (3,), "uint8"),
        "bit": Box(0, 1, (1,), "uint8"),
        "speed": Box(-float("inf"), 0.0, ()),
    }
    with pytest.raises(
        EnvError, match="observation_space is a nesting of spaces; see flatten_observations of jaxrl_envs"
    ):
        check_env(constant(obs, space))
    env = flatten_observations(constant(obs, space))
    expected = np.float32([1, 0, 0.2, 1, 0, 1, 0, -5, 7, -2.5])
    shown, state = jax.jit(env.reset)(jax.random.key(0), ())
    out = jax.jit(env.step)(jax.random.key(0), state, jnp.int32(0), ())
    for vector in (shown, out.obs):
        assert (vector.dtype, vector.weak_type) == (jnp.float32, False)
        np.testing.assert_allclose(vector, expected, rtol=1e-6)
    np.testing.assert_array_equal(env.observation_space.bound("low"), [0] * 7 + [-6, 0, -np.inf])
    np.testing.assert_array_equal(env.observation_space.bound("high"), [1] * 7 + [0, 9, 0])
    assert env.observation_space.contains(out.obs)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a": Box(0.0, 1.0, (2,))}, r"observations are PyTreeDef\(\{'a': \*, 'b': \*\}\), their space is"),
        ({"a": Box(0.0, 1.0, (2,)), "b": 3}, "there is 3 in observation_space"),
        ({"a": Box(0.0, 1.0, (2,)), "b": Box(0.0, 1.0, (1,))}, r"shape \(\) has a space of shape \(1,\)"),
    ],
)
def test_nested_spaces_must_fit(space, message):
    with pytest.raises(ValueError, match=message):
        flatten_observations(constant({"a": jnp.zeros(2, jnp.float32), "b": jnp.float32(0)}, space))


def given(env: Env, action: Any) -> Any:
    return jax.tree.map(np.asarray, env.step(jax.random.key(0), (), action, ()).info["action"])


def test_several_choices_are_one():
    obs, space = jnp.zeros(1, jnp.float32), Box(0.0, 1.0, (1,))
    grid = constant(obs, space, Box((0, -1, 5), (1, 1, 8), (3,), "int32"))
    env = flatten_actions(grid)
    assert env.action_space == Discrete(2 * 3 * 4)
    found = given(env, jnp.int32(0))
    assert (found.dtype, found.shape) == (np.int32, (3,))
    every = np.stack([given(env, jnp.int32(a)) for a in range(24)])
    np.testing.assert_array_equal(
        every, np.stack(np.unravel_index(np.arange(24), (2, 3, 4)), -1) + [0, -1, 5]
    )
    nested = flatten_actions(
        constant(obs, space, {"b": Discrete(3), "a": (Discrete(2), Box(0, 1, (1, 1), "uint8"))})
    )
    assert nested.action_space == Discrete(12)
    found = given(nested, jnp.int32(7))  # 1, 0, 1 in base 2, 2, 3
    assert (int(found["a"][0]), found["a"][1].tolist(), int(found["b"])) == (1, [[0]], 1)
    assert (found["a"][1].dtype, found["b"].dtype, found["b"].shape) == (np.uint8, np.int32, ())
    with pytest.raises(ValueError, match="flatten_actions needs Discrete, or a bounded Box of whole numbers"):
        flatten_actions(constant(obs, space, Box(0.0, 1.0, (2,))))
    with pytest.raises(
        ValueError, match="actions have 65,537 combinations; flatten_actions takes at most 65,536"
    ):
        flatten_actions(constant(obs, space, Discrete(65_537)))


def test_another_range_of_actions_is_stretched():
    pair = constant(jnp.zeros(1, jnp.float32), Box(0.0, 1.0, (1,)), Box((-2.0, 10.0), (2.0, 30.0), (2,)))
    env = rescale_actions(pair)
    assert env.action_space == Box(-1.0, 1.0, (2,))
    for action, inner in (([-1, -1], [-2, 10]), ([0, 0.5], [0, 25]), ([1, 1], [2, 30]), ([-9, 9], [-2, 30])):
        np.testing.assert_allclose(given(env, jnp.asarray(action, jnp.float32)), inner, rtol=1e-6)
    np.testing.assert_allclose(
        given(rescale_actions(pair, 0.0, 4.0), jnp.full(2, 1.0, jnp.float32)), [-1, 15]
    )
    with pytest.raises(ValueError, match="rescale_actions needs a bounded Box of floats"):
        rescale_actions(probes.scripted_env())


def test_actions_stick_within_an_episode():
    """Each slot with a probability of its own. The reward is the time and the action that was done, so that is known."""
    env = sticky_actions(probes.scripted_env(), 0.25)
    assert float(env.params.probability) == 0.25
    probability = np.asarray([0.0, 0.5, 0.5, 1.0], np.float32)
    params = env.params.replace(env=jnp.ones(N, jnp.float32), probability=jnp.asarray(probability))
    seen = played(env, params, per_slot=True)
    done = (seen["reward"] - seen["before"].obs[..., 1]).astype(int)
    first, chosen = seen["before"].first, seen["action"]
    np.testing.assert_array_equal(done[first], chosen[first])
    later, before = ~first[1:], done[:-1]
    stuck = done[1:] == before
    assert (stuck | (done[1:] == chosen[1:]))[later].all()
    other = later & (chosen[1:] != before)  # where sticking shows
    assert other.sum(0).min() > 15
    how_often = [stuck[other[:, slot], slot].mean() for slot in range(N)]
    np.testing.assert_allclose(how_often, probability, atol=0.25)
    assert (how_often[0], how_often[3]) == (0.0, 1.0)


def test_rewards_are_learned_from_changed_and_reported_as_they_are():
    inner = probes.scripted_env()
    seen = played(clip_rewards(scale_rewards(inner, 0.5), -1.0, 2.0))
    own = seen["before"].obs[..., 1] + seen["action"]
    assert own.max() > 4  # some is clipped
    np.testing.assert_allclose(seen["reward"], np.clip(0.5 * own, -1, 2))
    np.testing.assert_array_equal(seen["info"]["env_reward"], own)
    total = np.zeros(N)
    for t in range(T):
        total = np.where(seen["before"].first[t], 0, total) + own[t]
        np.testing.assert_array_equal(seen["episode_return"][t], total)
    with pytest.raises(ValueError, match="scale is nan; it must be a finite number"):
        scale_rewards(inner, float("nan"))
    with pytest.raises(ValueError, match=r"low is 1\.0; it must be below high, which is 1\.0"):
        clip_rewards(inner, 1.0)


def all_of_them() -> Env:
    """One environment in every wrapper: two choices, a dictionary to see, limits of its own."""
    script = probes.scripted_env()
    choose = lambda action: action["left"] + action["right"]
    show = lambda obs: {"number": obs[:1], "time": obs[1]}

    def reset(key: Any, params: Any) -> Any:
        obs, state = script.reset(key, params)
        return show(obs), state

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        out = script.step(key, state, choose(action), params)
        return out._replace(obs=show(out.obs))

    space = {"number": Box(0.0, float(probes.NUMBERS), (1,)), "time": Box(0.0, 9.0, ())}
    actions = {"left": Discrete(2), "right": Discrete(2)}
    env = Env("all", reset, step, script.params, space, actions, sample_params=lambda key: jnp.float32(3))
    env = flatten_actions(clip_rewards(scale_rewards(sticky_actions(env, 0.3), 0.7), -1.0, 2.0))
    return frame_stack(time_limit(flatten_observations(env), 4), 2)


@pytest.fixture(scope="module")
def everything() -> Env:
    return all_of_them()


def test_the_whole_keeps_the_contract(everything: Env):
    check_env(everything, eager=False)
    drawn = everything.sample_params(jax.random.key(0))
    assert jax.tree.structure(drawn) == jax.tree.structure(everything.params)
    assert float(drawn.env.env.env.env) == 3.0


@pytest.mark.parametrize("resets", [FullResets(), OptimisticResets(2), PoolResets(3)], ids=str)
def test_in_a_batch_it_is_what_it_is_alone(everything: Env, resets: Any):
    """Every step of every slot is that of one environment; what an ended slot goes on with is a start."""
    seen = played(everything, resets=resets)
    step = jax.jit(everything.step)
    at = lambda tree, t, slot: jax.tree.map(lambda x: x[t, slot], tree)
    for t in range(0, T, 5):
        keys = jax.random.split(jax.random.split(jax.random.key(3), T)[t], (2, N))[0]
        for slot in range(N):
            out = step(
                keys[slot], at(seen["before"].env, t, slot), seen["action"][t, slot], everything.params
            )
            one = {name: getattr(out, name) for name in ("reward", "terminated", "truncated")}
            same.assert_equal(
                one | {"obs": out.obs}, at({n: seen[n] for n in one} | {"obs": seen["next_obs"]}, t, slot)
            )
            if not (out.terminated or out.truncated):
                same.assert_equal(out.state, at(seen["after"].env, t, slot))
    over = seen["terminated"] | seen["truncated"]
    assert over.sum() > 2 * N
    start, shown = jax.tree.map(lambda x: x[over], seen["after"].env), seen["after"].obs[over]
    np.testing.assert_array_equal(start.frames, shown)
    np.testing.assert_array_equal(shown[:, :2], shown[:, 2:])
    assert not start.env.time.any()
    assert not start.env.env.begun.any()
    number, time = start.env.env.env
    np.testing.assert_array_equal(shown[:, 0], number.astype(np.float32))
    assert not time.any()


def test_what_is_known_of_the_environment_inside_goes_on():
    inner = probes.scripted_env()
    render = lambda state, params: np.full((1, 1, 3), float(params) + int(state[1]), np.uint8)
    inner = Env(**{**vars(inner), "render": render, "optimal_return": lambda p: 10.0 * p})
    env = frame_stack(scale_rewards(inner, 0.5), 2)
    _, state = env.reset(jax.random.key(0), env.params)
    assert env.render is not None and env.render(state, env.params)[0, 0].tolist() == [1, 1, 1]
    assert env.optimal_return is not None and float(env.optimal_return(env.params)) == 10.0
    limited = time_limit(sticky_actions(inner), 5)
    _, state = limited.reset(jax.random.key(0), limited.params)
    assert limited.render is not None and limited.render(state, limited.params).shape == (1, 1, 3)
    assert limited.optimal_return is None


WORDS = {
    "clip_rewards": "clip_rewards",
    "flatten_actions": "flatten_actions",
    "flatten_observations": "flatten_observations",
    "frame_stack": "frame_stack:2",
    "level_seeds": "level_seeds:5",
    "rescale_actions": "rescale_actions:0:1",
    "scale_rewards": "scale_rewards:0.5",
    "sticky_actions": "sticky_actions",
    "time_aware": "time_aware:4",
    "time_limit": "time_limit:4",
    "vary_params": "vary_params::3:4",
}


@pytest.mark.parametrize("name", [*WRAPPERS, "variants"])
def test_what_is_played_without_a_teacher_is_wrapped_too(name):
    """It has the parameters and spaces of the whole, draws the same tasks, and pays what the environment alone pays."""
    own = script = probes.scripted_env()
    if name == "rescale_actions":
        act = lambda *given: script.step(*given[:2], jnp.int32(0), given[3])
        own = dataclasses.replace(script, action_space=Box(-2.0, 2.0, ()), step=act)
    taught = lambda *given: own.step(*given)._replace(reward=jnp.float32(1000))
    both = dataclasses.replace(own, step=taught, alone=own)
    whole = variants(both, ("one", "other")) if name == "variants" else wrapped(both, WORDS[name])
    alone = whole.alone
    assert alone is not None and alone.alone is None
    assert (alone.observation_space, alone.action_space) == (whole.observation_space, whole.action_space)
    same.assert_equal(alone.params, whole.params)
    if whole.sample_params is not None:
        assert alone.sample_params is not None
        same.assert_equal(*(env.sample_params(jax.random.key(1)) for env in (alone, whole)))

    def paid(env: Env) -> float:
        obs, state = env.reset(jax.random.key(0), env.params)
        assert obs.shape == env.observation_space.shape
        action = jnp.zeros(env.action_space.shape, env.action_space.dtype)
        out = env.step(jax.random.key(0), state, action, env.params)
        return float(out.info.get("env_reward", out.reward))

    assert (paid(alone), paid(whole)) == (0.0, 1000.0)


def test_wrappers_have_names(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {"scripted": probes.scripted_env})
    env = make("scripted", wrappers="sticky_actions:0.1+scale_rewards:1e+1+time_limit:9+frame_stack:3")
    assert env.observation_space.shape == (6,)
    assert int(env.params.max_steps_in_episode) == 9
    assert float(env.params.env.scale) == 10.0
    assert float(env.params.env.env.probability) == np.float32(0.1)
    assert set(WRAPPERS) <= set(jaxrl_envs.__all__)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames:2", r"there is no 'frames'; did you mean 'frame_stack'\? Known: clip_rewards, "),
        ("frame_stack:two", "frame_stack reads frame_stack:FRAMES, with numbers"),
        ("flatten_observations:1", "flatten_observations reads flatten_observations, with numbers"),
        ("time_limit", "time_limit reads time_limit:MAX_STEPS, with numbers"),
        ("time_limit:0", "scripted: max_steps is 0; it must be a whole number of at least 1"),
        ("sticky_actions:2", "probability is 2; it must be a number from 0 to 1"),
        ("+frame_stack", "there is no ''"),
        (3, "wrappers is 3; it must be text"),
    ],
)
def test_other_names_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        wrapped(probes.scripted_env(), text)


def test_parameters_are_drawn_for_each_task():
    env = wrapped(timed(), "vary_params:gravity:8:12+vary_params:legs:2:4")
    drawn = jax.vmap(env.sample_params)(jax.random.split(jax.random.key(0), 300))
    assert drawn["gravity"].dtype == jnp.float32 and drawn["legs"].dtype == jnp.int32
    assert 8.0 <= float(drawn["gravity"].min()) < 8.1 and 11.9 < float(drawn["gravity"].max()) <= 12.0
    assert set(np.asarray(drawn["legs"]).tolist()) == {2, 3, 4}
    assert (drawn["max_steps"] == 9).all() and env.params["legs"] == 3
    assert abs(np.corrcoef(drawn["gravity"], drawn["legs"])[0, 1]) < 0.2


@pytest.mark.parametrize("ends", ["2:500", "0:50"])
def test_parameters_that_the_environment_does_not_take_are_not_drawn(ends):
    with pytest.raises(ValueError, match=r"^modulus of token/sum-mod is (500|0)"):
        make("token/sum-mod", wrappers=f"vary_params:knobs.modulus:{ends}")
    assert make("token/sum-mod", wrappers="vary_params:knobs.modulus:2:50").sample_params is not None


def test_whole_numbers_that_their_type_does_not_hold_are_not_drawn():
    for ends in (f"1:{2**31 - 1}", f"{-(2**40)}:3"):
        with pytest.raises(
            ValueError, match=r"'legs' is drawn from .*; both must be from -2147483648 to 2147483646"
        ):
            wrapped(timed(), f"vary_params:legs:{ends}")


def test_seeds_are_not_of_games_that_go_on_by_themselves():
    env = dataclasses.replace(
        probes.scripted_env(), restart=lambda key, state, params: (jnp.zeros(()), state)
    )
    with pytest.raises(ValueError, match=r"after an end it goes on by itself.*lives=False"):
        wrapped(env, "level_seeds:3")


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
def test_every_episode_of_a_level_begins_as_its_seed_says():
    inner = probes.scripted_env()
    env = wrapped(inner, "level_seeds:3")
    check_env(env, steps=4, eager=False)
    levels = jax.vmap(env.sample_params)(jax.random.split(jax.random.key(0), 40))
    assert set(np.asarray(levels.seed).tolist()) == {0, 1, 2}
    starts = jax.vmap(env.reset)(jax.random.split(jax.random.key(1), 40), levels)
    of_seeds = [inner.reset(jax.random.key(seed), inner.params) for seed in range(3)]
    expected = jax.tree.map(lambda *x: jnp.stack(x)[levels.seed], *of_seeds)
    same.assert_equal(starts, expected)
    every = jax.vmap(wrapped(inner, "level_seeds").sample_params)(jax.random.split(jax.random.key(0), 40))
    assert len(np.unique(every.seed)) == 40
    with pytest.raises(ValueError, match="count is -1; it must be a whole number of at least 0"):
        wrapped(inner, "level_seeds:-1")


def timed() -> Env:
    """Never stepped: it has parameters of several kinds."""
    inner = probes.scripted_env()
    params = {
        "gravity": jnp.float32(9.8),
        "legs": jnp.int32(3),
        "max_steps": jnp.int32(9),
        "start": jnp.zeros(2),
        "wet": jnp.bool_(False),
    }
    return Env(**{**vars(inner), "params": params, "sample_params": None})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "gravty:8:12",
            "no parameter 'gravty'; did you mean .gravity.. It has gravity, legs, max_steps, start, wet",
        ),
        ("gravity:12:8", "low is 12; it must be below high, which is 8"),
        ("legs:2.5:4", "'legs' is a whole number"),
        ("max_steps:0:4", "low of 'max_steps' is 0; a limit must be at least 1"),
        ("start:0:1", r"parameter 'start' is float32 of shape \(2,\); it must be one number"),
        ("wet:0:1", "parameter 'wet' is bool"),
        ("gravity", "vary_params reads vary_params:NAME:LOW:HIGH"),
    ],
)
def test_parameters_that_cannot_be_drawn_are_named(words, message):
    with pytest.raises(ValueError, match=message):
        wrapped(timed(), f"vary_params:{words}")


def test_the_option_is_found_by_a_near_word():
    with pytest.raises(ValueError, match="has no option 'wrapper'; did you mean 'wrappers'"):
        reject_unknown("CartPole-v1", ["wrapper"], ["length"])
