"""Arms as data, what a rollout says of them, and curricula of arms in the seat of a run."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walk
from compiled import program
from same import assert_equal

from jaxrl_envs import Arms, Box, Discrete, Env, EnvStep, check_env, make
from jaxrl_envs.vector import vectorize
from jaxrl_envs.wrappers import time_limit
from jaxrl_evolve import random
from jaxrl_evolve.curricula import statistics
from jaxrl_evolve.curricula.arms.arms import arms_of, stacked_arms, varied
from jaxrl_evolve.curricula.arms.curriculum import arm_curriculum
from jaxrl_evolve.curricula.signals import SIGNALS, dr_grpo, grpo, rloo
from jaxrl_evolve.curricula.table import make_curriculum
from jaxrl_evolve.learners.learner import Assessment
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.runs.chunk import Lived, make_chunk
from jaxrl_evolve.runs.rollout import EpisodeSums, Played
from jaxrl_evolve.runs.tasks import NEW, Assignment, Openings
from jaxrl_evolve.training.experiment import build
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

LENGTHS = (1, 2, 4, 8, 16)


def corridor(metrics: tuple[str, ...] = ("success",)) -> Env:
    """``params`` steps to the right within as many steps: chance succeeds with probability ``2 ** -params``."""

    def observe(place: Any, params: Any) -> Any:
        return jnp.stack([place, params]).astype(jnp.float32) / 16

    def reset(key: Any, params: Any) -> Any:
        del key
        return observe(jnp.int32(0), params), (jnp.int32(0), jnp.int32(0))

    def step(key: Any, state: Any, action: Any, params: Any) -> EnvStep:
        del key
        place, time = state[0] + action, state[1] + 1
        arrived = place >= params
        info = {"success": arrived}
        late = (time >= params) & ~arrived
        obs = observe(place, params)
        return EnvStep(obs, (place, time), arrived.astype(jnp.float32), arrived, late, info)

    draw = lambda key, arm: jnp.asarray(LENGTHS, jnp.int32)[arm]
    arms = Arms(tuple(map(str, LENGTHS)), draw)
    space = Box(0.0, 1.0, (2,))
    return Env("corridor", reset, step, jnp.int32(4), space, Discrete(2), metrics=metrics, arms=arms)


def rollout(task: Any, returns: Any, ended: Any, success: Any, critic: Any = None) -> Lived:
    """What came of one, of arrays ``[T, N]``."""
    if isinstance(task, np.ndarray):  # which compiles nothing
        given = task.astype(np.int32), np.float32(returns), ended, np.float32(success)
        task, returns, ended, success = jax.device_put(given)
        none, nothing = jax.device_put((np.zeros(ended.shape, bool), np.zeros(ended.shape, np.float32)))
    else:
        task, returns, none = task.astype(jnp.int32), returns.astype(jnp.float32), jnp.zeros_like(ended)
        nothing = jnp.zeros_like(returns)
    flags = {"terminated": ended, "truncated": none, "first": none}
    info = {"success": success}
    policy = PolicyOutput(nothing)
    t = Trajectory(
        obs=(), action=(), next_obs=(), reward=returns, policy=policy, task=task, info=info, **flags
    )
    played = Played(t, EpisodeSums.none(), returns, jax.device_put(np.full(task.shape, 3, np.int32)))
    first = task[0] if isinstance(task, jax.core.Tracer) else jax.device_put(np.asarray(task)[0])
    return Lived(Assignment(first, ()), played, (), {}, critic)


def test_sums_by_task_are_those_of_a_loop_over_steps():
    rng = np.random.default_rng(0)
    shape, arms = (7, 5), 4
    task = rng.integers(-1, arms + 1, shape)
    returns, success = rng.normal(size=shape), rng.random(shape) * 1.5
    returns[2, 3], success[4, 1] = np.nan, np.nan
    ended = rng.random(shape) < 0.5
    ended[2, 3] = ended[4, 1] = True
    value, advantage, error = rng.normal(size=(3, *shape))
    advantage[0, 0], value[6, 2] = np.nan, np.nan
    said = Assessment(*jax.device_put([np.float32(x) for x in (value, advantage, error)]))
    lived = rollout(task, returns, ended, success, lambda: said)
    rule = statistics.success_rule(corridor())
    names = ("steps", "episodes", "returns", "lengths", "successes", *statistics.CRITIC)
    facts = program(lambda: statistics.columns(lived, names, rule))()
    expected = {name: np.zeros(arms) for name in names}
    best, worst = np.full(arms, -np.inf), np.full(arms, np.inf)
    for i in np.ndindex(shape):
        if not 0 <= task[i] < arms:
            continue
        add = {"steps": 1.0}
        if np.isfinite(advantage[i] + value[i]):
            a = advantage[i]
            add |= {"scored": 1, "absolute": abs(a), "positive": max(a, 0), "negative": max(-a, 0)}
            add |= {"td": abs(error[i]), "squared_td": error[i] ** 2, "value": value[i]}
        if ended[i] and np.isfinite(returns[i]):
            best[task[i]], worst[task[i]] = max(best[task[i]], returns[i]), min(worst[task[i]], returns[i])
            if np.isfinite(success[i]):
                add |= {"episodes": 1, "returns": returns[i], "lengths": 3, "successes": min(success[i], 1)}
        for name, x in add.items():
            expected[name][task[i]] += x
    by_number = program(statistics.by_number, "count")
    for count in (arms, 100):  # by a product of matrices, and step by step
        found = by_number(facts, lived.played.trajectory.task, count)
        for name in names:
            np.testing.assert_allclose(found[name][:arms], expected[name], atol=1e-5, err_msg=name)
            assert count == arms or not found[name][-1]  # where no task's number counts from the end
    extremes = program(lambda task: statistics.extremes(lived, task, arms))(lived.played.trajectory.task)
    np.testing.assert_allclose(extremes, (best, worst))
    slots = program(statistics.by_slot)({"steps": facts["steps"]})
    assert slots["steps"].tolist() == [7.0] * 5
    limited = statistics.success_rule(corridor(()), np.float32([0, 1, 2, 3]))
    assert limited is not None
    reached = program(lambda: limited(lived))()
    inside = (task >= 0) & (task < arms) & np.isfinite(returns)
    assert (reached[inside] == (returns >= task)[inside]).all() and np.isnan(reached[2, 3])
    assert statistics.success_rule(corridor(())) is None


TABLE = {
    0.001: (0.003, 0.005, 0.007, 0.015), 0.01: (0.030, 0.048, 0.072, 0.132), 0.05: (0.141, 0.220, 0.301, 0.409),
    0.10: (0.263, 0.392, 0.496, 0.581), 0.25: (0.534, 0.711, 0.798, 0.850), 0.50: (0.700, 0.868, 0.936, 0.984),
}  # fmt: skip
GROUPS = (4, 8, 16, 64)


def test_group_advantages_are_those_of_their_definitions():
    """Expectations: GRPO's as tabulated, RLOO's exactly 2 p (1 - p); and means over drawn groups, to 1 %."""
    rng = np.random.default_rng(0)
    sizes_of = program(lambda p, n: [f(p, n) for f in (grpo, rloo, dr_grpo)])
    for n, column in zip(GROUPS, zip(*TABLE.values(), strict=True), strict=True):
        k = np.arange(n + 1)
        sizes = sizes_of(np.float32(k / n), np.float32(n))
        for p, mean in zip(TABLE, column, strict=True):
            likely = np.array([math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in k])
            drawn = rng.multinomial(10**8, likely / likely.sum()) / 10**8
            assert sizes[0] @ likely == pytest.approx(mean, abs=6e-4)
            assert sizes[1] @ likely == pytest.approx(2 * p * (1 - p), rel=1e-4)
            assert sizes[2] @ likely == pytest.approx(2 * p * (1 - p) * (n - 1) / n, rel=1e-4)
            assert sizes[0] @ drawn == pytest.approx(sizes[0] @ likely, rel=0.01)
    for k in range(9):
        r = np.arange(8) < k
        centred = r - r.mean()
        others = r - (r.sum() - r) / 7
        found = sizes_of(np.float32(k / 8), np.float32(8))
        scaled = centred / (r.std(ddof=1) + 1e-6)
        for size, a in zip(found, (scaled, others, centred), strict=True):
            assert float(size) == pytest.approx(np.abs(a).mean(), abs=1e-5)


def test_signals_of_arms():
    sums = {
        "episodes": [4.0, 2.0], "successes": [1.0, 2.0], "returns": [8.0, 1.0], "scored": [10.0, 5.0], "absolute": [5.0, 1.0],
        "positive": [2.0, 0.5], "negative": [3.0, 0.5], "squared_td": [20.0, 5.0], "best": [3.0, 1.0], "worst": [-1.0, 0.0],
        "before": [5.0, 9.0], "seen": [True, False], "payoff_spread": [0.5, 0.2],
    }  # fmt: skip
    expected = {
        "success": [0.25, 1.0], "return": [2.0, 0.5], "learnability": [0.25, 0.0], "informative": [1.0, 0.0],
        "grpo": [0.75, 0.0], "rloo": [0.5, 0.0], "dr-grpo": [0.375, 0.0], "advantage": [0.5, 0.2], "positive-advantage": [0.2, 0.1],
        "negative-advantage": [0.3, 0.1], "td": [2.0, 1.0], "progress": [3.0, 0.0], "gain": [-3.0, 0.0], "spread": [4.0, 1.0],
        "payoff": [0.5, 0.2],
    }  # fmt: skip
    arrays = {name: np.asarray(x, bool if name == "seen" else np.float32) for name, x in sums.items()}
    told = program(lambda arrays: {name: signal.value(arrays) for name, signal in SIGNALS.items()})
    found = told(arrays)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6, err_msg=name)


def test_arms_from_text():
    env = make("CartPole-v1")
    arms = arms_of(env, "length=0.5,1.0 gravity=5,9.8")
    assert arms.names == ("0.5 5", "0.5 9.8", "1.0 5", "1.0 9.8")
    last = arms.sample(random.key(0), jnp.int32(3))
    assert (float(last.length), float(last.gravity), float(last.masscart)) == (1.0, np.float32(9.8), 1.0)
    assert float(arms.sample(random.key(0), jnp.int32(2)).gravity) == 5.0
    together = arms_of(env, "length:gravity=1:2,3:4")
    assert together.names == ("1:2", "3:4")
    assert float(together.sample(random.key(0), jnp.int32(1)).gravity) == 4.0
    whole = arms_of(corridor(), "params=3,5")
    assert whole.sample(random.key(0), jnp.int32(1)) == 5
    limited = time_limit(env, 30)
    assert "length" in varied(limited)
    inner = arms_of(limited, "length=0.5,1.0").sample(random.key(0), jnp.int32(1))
    assert (float(inner.env.length), int(inner.max_steps_in_episode)) == (1.0, 30)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "CartPole-v1 has no arms of its own; give them by its parameters, .* FIELD of max_steps_in_episode, gravity",
        ),
        ("length", "arms is 'length'; it must read FIELD=V1,V2"),
        ("lenght=1,2", "arms names lenght, which is no parameter of CartPole-v1: did you mean length"),
        ("length=1,1", "arms gives length a value twice: 1,1"),
        ("length=1,2 length=3,4", "arms names length twice"),
        ("length=1,x", "arms gives length of CartPole-v1 the value 'x'; it must be a finite number"),
        (
            "length:gravity=1,2:3",
            "arms gives length:gravity the value 1; it must have one for each, as in 4:16",
        ),
        ("max_steps_in_episode=1.5,2", "max_steps_in_episode is 1.5; it must be int32"),
        ("max_steps_in_episode=0,2", "max_steps_in_episode is 0; it must be at least 1"),
    ],
)
def test_text_that_makes_no_arms_is_refused(text: str, said: str):
    with pytest.raises(ValueError, match=said):
        arms_of(make("CartPole-v1"), text)


def test_an_environment_names_its_arms_and_a_wrapper_keeps_them():
    env = corridor()
    check_env(env)
    assert arms_of(env) is env.arms
    limited = time_limit(env, 9)
    check_env(limited)
    assert arms_of(limited).sample(random.key(0), jnp.int32(3)).env == 8
    wrong = dataclasses.replace(env, arms=Arms(("a", "a"), lambda key, arm: arm))
    with pytest.raises(ValueError, match=r"arms.names is \('a', 'a'\)"):
        check_env(wrong)
    with pytest.raises(ValueError, match="in the environment.*from arms.sample"):
        check_env(dataclasses.replace(env, arms=Arms(("a",), lambda key, arm: arm > 0)))
    with pytest.raises(ValueError, match="names is .*; it must have 3 names, none twice"):
        stacked_arms(jnp.arange(3), ["a", "b"])
    with pytest.raises(ValueError, match="it must be one, of at least one arm"):
        stacked_arms((jnp.arange(3), jnp.arange(2)))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "sec",
            {"signal": "advantages"},
            "signal is 'advantages', which is not known: did you mean advantage",
        ),
        ("sec", {"signal": "success", "costs": "steps"}, "learns from 'success', which is no gain"),
        ("thompson", {"signal": "return"}, "thompson reckons with shares of successes: it must be 'success'"),
        ("sec", {"costs": (1, 2)}, r"costs is \(1, 2\); it must be 5 finite numbers above 0"),
        ("sec", {"costs": (1, 2, 3, 4, 0)}, "must be 5 finite numbers above 0"),
        ("sec", {"costs": "time"}, "costs is 'time'; it must be 'steps', or 5 numbers"),
        ("sec", {"available": (0, 0, 0, 0, 0)}, "at least one arm must be"),
        ("sec", {"available": (1, 1)}, "it must be 5 of True and False"),
        ("sec", {"threshold": float("nan")}, "threshold is nan; it must be a finite number, or 5"),
        ("adarft", {"difficulty": (0, 1)}, r"difficulty is of shape \(2,\); there are 5 arms"),
        ("omni", {"boring": ((0, 1), (1, 0))}, r"boring is of shape \(2, 2\); there are 5 arms"),
        (
            "adarft",
            {"difficulty": (0, 10, 50, 75, 90)},
            r"difficulty is \(0, 10, 50, 75, 90\); it must be numbers from 0 to 1, one for each arm",
        ),
        ("adarft", {"difficulty": (0, 0.1, float("nan"), 0.2, 1)}, "it must be numbers from 0 to 1"),
        (
            "adarft",
            {"difficulty": 0.5},
            "difficulty is 0.5; it must be numbers from 0 to 1, one for each arm",
        ),
        ("adarft", {"difficulty": ("a", "b", "c", "d", "e")}, "it must be numbers from 0 to 1"),
        (
            "learning-progress",
            {"base": -3.0},
            "base is -3.0; it must be a number from 0 to 1, or one for each arm",
        ),
        ("omni", {"base": 1.5}, "base is 1.5; it must be a number from 0 to 1, or one for each arm"),
        ("omni", {"base": "x"}, "base is 'x'; it must be a number from 0 to 1"),
        (
            "omni",
            {"boring": (0, 1, 0, 0, 1)},
            r"boring is \(0, 1, 0, 0, 1\); it must be rows and columns by arm",
        ),
        ("omni", {"boring": 3}, "boring is 3; it must be rows and columns by arm"),
        ("omni", {"boring": ((0, 1), (1,))}, r"boring is \(\(0, 1\), \(1,\)\), whose rows differ in length"),
        ("omni", {"boring": tuple((0, 2, 0, 0, 0) for _ in range(5))}, "of True and False"),
        ("sec", {"stepp": 0.1}, "curriculum_options has stepp, which sec does not take: did you mean step"),
        ("secc", {}, "curriculum is 'secc', which is not known: did you mean sec"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        make_curriculum(name, corridor(), 4, options)


def test_who_says_what_a_success_is():
    with pytest.raises(ValueError, match="learns from successes, which corridor does not report: say from"):
        make_curriculum("thompson", corridor(()), 4, {})
    make_curriculum("thompson", corridor(()), 4, {"threshold": (1, 1, 1, 1, 0.5)})


def test_a_learner_without_a_critic_is_refused_before_anything_compiles():
    options = {"curriculum": "sec", "curriculum_options": {"arms": "nan_rate=0,1e-9"}}
    config = walk.config("pqn", updates=2, learner={}, **options)
    with pytest.raises(ValueError, match="learner 'pqn' has no critic of states: it must be one that has"):
        build(config)


def openings(n: int) -> Openings:
    nobody = jnp.full((n,), NEW, jnp.int32)
    return Openings(jnp.zeros((n,), jnp.int32), nobody == NEW, nobody)


def test_draws_of_few_slots_of_one_arm_and_around_an_unavailable_one():
    for options, n, allowed in (
        ({}, 2, {0, 1, 2, 3, 4}),
        ({"available": (0, 1, 0, 1, 0)}, 64, {1, 3}),
        ({"arms": "params=7"}, 4, {0}),
    ):
        curriculum = arm_curriculum("sec", corridor(), n, signal="success", floor=0.5, **options)

        def once(curriculum: Any = curriculum, n: int = n) -> Any:
            state, proposed = curriculum.propose(random.key(1), curriculum.init(random.key(0)), openings(n))
            task = proposed.number[None]
            ones = jnp.ones_like(task)
            state = curriculum.record(state, rollout(task, ones, ones > 0, 2 * ones))  # a success of 2 is one
            return proposed, state, curriculum.metrics(state)

        proposed, state, told = jax.jit(once)()
        assert proposed.number.shape == (n,) and set(proposed.number.tolist()) <= allowed
        assert set(np.asarray(state.bandit).tolist()) <= {0.0, 0.5}
        share = np.bincount(proposed.number, minlength=5) / n
        entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
        assert float(told["effective_arms"]) == pytest.approx(np.exp(entropy), rel=1e-4)
        assert all(np.isfinite(float(x)) for x in told.values())
        params = np.asarray(LENGTHS)[proposed.number] if "arms" not in options else [7] * n
        assert proposed.params.tolist() == list(params)


def test_costs_divide_and_what_is_no_number_is_not_learned():
    """Arm 1 costs three times as much as arm 0; arm 2 gives NaN; arm 3 ends one episode, too few for its signal."""
    for costs, ratio in (("", 1.0), ((1, 3, 1, 1, 1), 3.0)):
        curriculum = arm_curriculum(
            "discounted-ucb", corridor(), 4, signal="learnability", costs=costs, discount=1.0
        )
        task = np.asarray([[0, 0, 1, 1, 2, 2, 3]])
        success = np.float32([[0.0, 1.0, 0.0, 1.0, np.nan, 1.0, 1.0]])
        given = (rollout(task, success, task >= 0, success),)
        learned = program(lambda key: curriculum.record(curriculum.init(key), *given))  # noqa: B023
        state = learned(random.key(0))
        assert state.bandit.draws.tolist() == [2, 2, 0, 0, 0]
        rewards = np.asarray(state.bandit.rewards)
        assert rewards[0] / rewards[1] == pytest.approx(ratio)
        assert state.seen.tolist() == [True, True, True, True, False]


def chunk_of(name: str, **options: Any) -> Any:
    env = corridor()
    config = PPOConfig(epochs=4, minibatches=1, network=NetworkConfig(hidden=(16,)))
    learner = ppo(env, 32, 32, config, PPOHyperparameters(learning_rate=5e-3, learning_rate_end=1.0))
    curriculum = arm_curriculum(name, env, 32, **options)
    return learner, make_chunk(learner, vectorize(env, 32, params_per_slot=True), 32, curriculum)


@pytest.fixture(scope="module")
def trained() -> Any:
    """Two seeds, vmapped, under SEC, for few updates and for many."""
    learner, chunk = chunk_of("sec", temperature=0.1, floor=0.1)
    hp = jax.tree.map(jnp.float32, learner.default_hp)
    keys = jax.jit(jax.random.split)(random.key(0))

    def whole(key: Any, updates: Any) -> Any:
        state = chunk.init(key, hp, jnp.int32(4))
        return chunk.run(state, hp, (), jnp.int32(4), jnp.float32(60), updates)

    go = jax.jit(jax.vmap(whole, (0, None)))
    return keys, go, jax.device_get(go(keys, jnp.int32(3))), go(keys, jnp.int32(60))


@pytest.mark.core
def test_ppo_learns_long_corridors_under_sec(trained: Any):
    """Chance reaches the end of 16 steps once in 65,536 episodes."""
    state, metrics = trained[3]
    success = np.asarray(state.tasks.curriculum.success)
    assert (success > 0.8).all(), success
    assert (np.asarray(metrics["curriculum_effective_arms"]) > 1.5).all()
    # What is mastered has no advantage left, so the last arms are those that are drawn.
    assert (np.asarray(metrics["curriculum_share_16"]) > 0.05).all()


def test_a_seed_of_a_run_does_not_depend_on_who_is_beside_it(trained: Any):
    keys, go, few, _ = trained
    turned = go(jax.jit(lambda keys: keys[::-1])(keys), jnp.int32(3))
    assert_equal(jax.tree.map(lambda x: x[::-1], few), turned)
