"""`check_env` passes a sound environment and names the rule that each broken one breaks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from flax import struct

from jaxrl_envs import Box, Discrete, Env, EnvError, EnvStep, check_env
from jaxrl_envs.check import main


@struct.dataclass
class Params:
    scale: jax.Array
    max_steps_in_episode: jax.Array


PARAMS = Params(jnp.asarray(0.5, jnp.float32), jnp.asarray(20, jnp.int32))


def reset(key, params):
    x = jax.random.uniform(key, (2,), jnp.float32)
    return x, {"x": x, "time": jnp.zeros((), jnp.int32)}


def step(key, state, action, params):
    x = state["x"] + params.scale * (action - 0.5) + 0.01 * jax.random.normal(key, (2,), jnp.float32)
    time = state["time"] + 1
    return EnvStep(
        obs=x,
        state={"x": x, "time": time},
        reward=x[0],
        terminated=jnp.abs(x[0]) > 1.5,
        truncated=time >= params.max_steps_in_episode,
        info={"twice": 2 * x[0]},
    )


WALK = Env("Walk", reset, step, PARAMS, Box(-9.0, 9.0, (2,)), Discrete(2))


def changed(**fields):
    """The sound step with some fields of its result replaced."""

    def altered(key, state, action, params):
        out = step(key, state, action, params)
        return out._replace(**{k: f(out, key, params) for k, f in fields.items()})

    return {"step": altered}


def self_resetting(key, state, action, params):
    out = step(key, state, action, params)
    obs, fresh = reset(key, params)
    ended = out.terminated | out.truncated
    new = jax.tree.map(lambda a, b: jnp.where(ended, a, b), fresh, out.state)
    return out._replace(obs=jnp.where(ended, obs, out.obs), state=new)


def writing(key, state, action, params):
    state["time"] = state["time"] + 1
    return step(key, state, action, params)


@jax.custom_batching.custom_vmap
def fragile(x):
    return x


@fragile.def_vmap
def _(axis_size, in_batched, x):
    return x + 1.0, True


OUTSIDE = np.random.default_rng(0)


def random_outside():
    return jax.pure_callback(lambda: np.float32(OUTSIDE.random()), jax.ShapeDtypeStruct((), jnp.float32))


FRESH = {"x": jnp.zeros(2), "time": 0}
BROKEN = {
    "weak reward": (changed(reward=lambda o, k, p: 1.0), "reward is weakly typed float32"),
    "int reward": (changed(reward=lambda o, k, p: jnp.zeros((), jnp.int32)), r"reward is int32\[\]"),
    "reward shape": (changed(reward=lambda o, k, p: o.reward[None]), r"reward is float32\[1\]"),
    "infinite reward": (changed(reward=lambda o, k, p: o.reward / 0), "the reward of step 0 is inf"),
    "float flag": (changed(terminated=lambda o, k, p: o.reward), r"terminated is float32\[\]"),
    "int flag": (changed(truncated=lambda o, k, p: jnp.zeros((), jnp.int32)), r"truncated is int32\[\]"),
    "obs dtype": (changed(obs=lambda o, k, p: o.obs.astype(jnp.float16)), r"from step is float16\[2\]"),
    "obs shape": (changed(obs=lambda o, k, p: o.obs[:1]), r"from step is float32\[1\]"),
    "obs tree": (changed(obs=lambda o, k, p: (o.obs, o.obs)), "it must be one array"),
    "obs outside": (
        changed(obs=lambda o, k, p: o.obs + 10),
        r"from step 0 leaves its space Box from -9.0 to 9.0",
    ),
    "obs nan": (changed(obs=lambda o, k, p: o.obs * jnp.nan), "from step 0 is not finite"),
    "info list": (changed(info=lambda o, k, p: [o.reward]), "info is a list of 1; it must be a mapping"),
    "info weak": (changed(info=lambda o, k, p: {"a": 1}), r"info\['a'\] is weakly typed int32"),
    "metrics unknown": (
        {"metrics": ("won",)},
        r"metrics names 'won', of which info has no numbers; it must be a number or a flag of info \(twice\)",
    ),
    "metrics of nothing": (
        {"metrics": ("won",), **changed(info=lambda o, k, p: {})},
        r"it must be a number or a flag of info \(which is empty\)",
    ),
    "two successes": (
        {"metrics": ("success",), **changed(info=lambda o, k, p: {"success": jnp.zeros(2)})},
        r"info\['success'\] is float32\[2\]; it must be one number or flag",
    ),
    "metrics taken": ({"metrics": ("return",)}, "metrics names 'return', a name that is taken"),
    "weak state": ({"reset": lambda k, p: (jnp.zeros(2, jnp.float32), FRESH)}, r"\['time'\] is weakly typed"),
    "drift": (
        changed(state=lambda o, k, p: {**o.state, "time": o.state["time"].astype(jnp.float32)}),
        r"the state\['time'\] is int32\[\] after reset and float32\[\] after step",
    ),
    "structure": (
        changed(state=lambda o, k, p: {**o.state, "more": o.reward}),
        "another structure after step",
    ),
    "plain tuple": ({"step": lambda k, s, a, p: tuple(step(k, s, a, p))}, "step returns a tuple"),
    "reset alone": ({"reset": lambda k, p: reset(k, p)[0]}, r"it must be the pair \(obs, state\)"),
    "signature": ({"step": lambda s, a: step(None, s, a, PARAMS)}, "step.* failed with TypeError"),
    "static params": (
        changed(reward=lambda o, k, p: o.reward * float(p.scale)),
        "step.* failed with Concretiz",
    ),
    "python params": (
        {"params": Params(0.5, PARAMS.max_steps_in_episode)},
        r"params\.scale is the Python value",
    ),
    "weak params": ({"params": dataclasses.replace(PARAMS, scale=jnp.asarray(0.5))}, "scale is weakly typed"),
    "space": ({"action_space": 3}, "action_space is 3; it must be"),
    "self reset": ({"step": self_resetting}, "step resets the environment when an episode ends"),
    "merged limit": (
        changed(terminated=lambda o, k, p: o.terminated | o.truncated),
        "the limit belongs in truncated alone",
    ),
    "limit told": (
        changed(
            terminated=lambda o, k, p: o.terminated | (o.state["time"] > 5),
            info=lambda o, k, p: {"TimeLimit.truncated": o.state["time"] > 5},
        ),
        r"terminated is set where info\['TimeLimit.truncated'\] says that a time limit cut the episode",
    ),
    "equality": (
        changed(truncated=lambda o, k, p: o.state["time"] == p.max_steps_in_episode),
        "== instead of >=",
    ),
    "no limit": (
        changed(truncated=lambda o, k, p: jnp.zeros((), bool)),
        "= 3 was passed and truncated is still",
    ),
    "writes": ({"step": writing}, "step writes into the state"),
    "chance": (changed(reward=lambda o, k, p: random_outside()), "the same key gives different results"),
    "frozen chance": (
        changed(reward=lambda o, k, p: jnp.float32(OUTSIDE.random() * 10)),
        "step gives other results without jit",
    ),
    "vmap": (changed(reward=lambda o, k, p: fragile(o.reward)), "step gives other results under vmap"),
}


def test_a_sound_environment_passes():
    check_env(WALK)
    check_env(WALK, jax.random.key(9), steps=60)


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_named(fault):
    fields, message = BROKEN[fault]
    with pytest.raises(EnvError, match=message) as raised:
        check_env(dataclasses.replace(WALK, **fields), steps=40)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("metrics", ["success", ["success"], (1,)])
def test_metrics_are_a_tuple_of_names(metrics):
    with pytest.raises(
        ValueError, match=r"metrics is .*; it must be a tuple of names, such as \('success',\)"
    ):
        dataclasses.replace(probes.scripted_env(), metrics=metrics)


def test_self_resets_are_found_without_a_termination():
    """Only the limit ends these episodes, later than the steps taken: the shortened limit finds it."""

    def endless(key, state, action, params):
        return self_resetting(key, {**state, "x": 0.1 * state["x"]}, action, params)

    with pytest.raises(EnvError, match="reaching max_steps_in_episode changes the successor: step resets"):
        check_env(dataclasses.replace(WALK, step=endless), steps=8, eager=False)


def bare_walk(chance, resets=None):
    """A walk without a counter or a limit, whose step has chance in it or not, and may reset: to the stored start or anew."""

    def begin(key, params):
        x = jax.random.uniform(key, (2,), jnp.float32)
        return x, {"x": x, "start": x}

    def go(key, state, action, params):
        x = state["x"] + 0.4 * (action - 0.3) + chance * jax.random.normal(key, (2,), jnp.float32)
        terminated = jnp.abs(x[0]) > 1.0
        after = {"x": x, "start": state["start"]}
        if resets == "stored":
            after["x"] = jnp.where(terminated, state["start"], x)
        elif resets == "anew":
            after = jax.tree.map(lambda a, b: jnp.where(terminated, a, b), begin(key, params)[1], after)
        return EnvStep(after["x"], after, x[0], terminated, jnp.zeros((), bool), {})

    return dataclasses.replace(WALK, reset=begin, step=go, params=())


@pytest.mark.parametrize(("chance", "resets"), [(0.01, "stored"), (0.0, "stored"), (0.0, "anew")])
def test_self_resets_are_found_where_no_counter_tells(chance, resets):
    with pytest.raises(EnvError, match="step resets the environment when an episode ends"):
        check_env(bare_walk(chance, resets), eager=False)


@pytest.mark.filterwarnings("ignore:.*two different keys give the same episode")
def test_what_only_looks_like_a_reset_passes():
    check_env(bare_walk(0.01), eager=False)
    check_env(bare_walk(0.0), eager=False)

    def lap(key, state, action, params):  # round a board of five cells, and at home where it set out
        place = (state + 2) % 5
        home = place == 0
        return EnvStep(place[None].astype(jnp.float32), place, jnp.float32(0), home, jnp.zeros((), bool), {})

    begin = lambda key, params: (jnp.zeros(1, jnp.float32), jnp.zeros((), jnp.int32))
    space = Box(0.0, 4.0, (1,))
    check_env(
        dataclasses.replace(WALK, reset=begin, step=lap, params=(), observation_space=space), eager=False
    )


def test_a_limit_within_a_limit_is_found():
    def merged(key, state, action, params):
        out = step(key, state, action, params.env)
        return out._replace(terminated=out.terminated | out.truncated)

    @struct.dataclass
    class Around:
        env: Params

    inside = dataclasses.replace(WALK, reset=lambda k, p: reset(k, p.env), step=merged, params=Around(PARAMS))
    with pytest.raises(EnvError, match="the limit belongs in truncated alone"):
        check_env(inside, steps=8, eager=False)


def test_two_keys_alike_warn():
    still = dataclasses.replace(
        WALK,
        reset=lambda k, p: reset(jax.random.key(0), p),
        step=lambda k, s, a, p: step(jax.random.key(0), s, a, p),
    )
    with pytest.warns(UserWarning, match="two different keys give the same episode"):
        check_env(still)


def test_arguments():
    with pytest.raises(ValueError, match="steps is 2; it must be at least 4"):
        check_env(WALK, steps=2)


def test_command(capsys):
    assert main(["MountainCar-v0", "--steps", "4", "--no-eager", "--option", "max_steps_in_episode=50"]) == 0
    assert "MountainCar-v0 keeps the contract" in capsys.readouterr().out
    assert main(["MountainCar-v9"]) == 2
    assert "did you mean 'MountainCar-v0'" in capsys.readouterr().err
    assert main(["MountainCar-v0", "--option", "nonsense"]) == 2
