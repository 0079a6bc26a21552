"""Bandits against plain loops, what they do when arms change, and how scores become probabilities."""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program
from same import assert_close

from jaxrl_evolve import random
from jaxrl_evolve.curricula.arms import choice, progress
from jaxrl_evolve.curricula.arms.bandit import Feedback, Hyperparameters, draw
from jaxrl_evolve.curricula.arms.estimator import Posterior
from jaxrl_evolve.curricula.arms.names import NAMES
from jaxrl_evolve.curricula.arms.table import METHODS, bandit_of
from jaxrl_evolve.results.allocation import times_to_reallocate

ARMS, STEPS, SEEDS = 4, 60, 8
WINDOW = 8
"""Short, so that rings go round."""
OPTIONS: dict[str, dict[str, Any]] = {
    "dump": {"window": WINDOW},
    "window-ucb": {"window": WINDOW},
    "exp3s": {"reservoir": 5, "beta": 0.1, "step": 0.2},
    "sec": {"optimism": 0.3, "reversion": 0.1},
    "learning-progress": {"every": 3, "base": (0.1, 0.0, 0.9, 0.2)},
    "omni": {"boring": tuple(tuple(abs(i - j) == 1 for j in range(ARMS)) for i in range(ARMS))},
    "adcl": {"windows": 2, "probe": 3, "stay": 5},
    "thompson-gaussian": {"optimism": 0.2},
}


def traces() -> tuple[np.ndarray, np.ndarray]:
    """Shares of successes, and numbers of episodes of which about half are 0: ``[SEEDS, STEPS, ARMS]``."""
    rng = np.random.default_rng(0)
    count = rng.integers(0, 5, (SEEDS, STEPS, ARMS)) * rng.integers(0, 2, (SEEDS, STEPS, ARMS))
    won = rng.binomial(count, np.array([0.1, 0.5, 0.9, 1.0]))
    return (won / np.maximum(count, 1)).astype(np.float32), count.astype(np.float32)


AVAILABLE = np.asarray([True, True, False, True])


def played(name: str, reward: Any, count: Any, key: Any, **more: Any) -> Any:
    """States after each step of a trace, and probabilities, all arms available and one of them not."""
    bandit, hp = bandit_of(name, OPTIONS.get(name, {}) | more)

    def step(state: Any, x: Any) -> Any:
        reward, count, i = x
        keys = jax.random.split(jax.random.fold_in(key, i))
        state = bandit.update(keys[0], state, Feedback(reward, count), hp)
        masks = jnp.asarray(np.stack([np.ones(ARMS, bool), AVAILABLE]))
        everyone, some = jax.vmap(lambda mask: bandit.probabilities(keys[1], state, mask, hp))(masks)
        return state, (state, everyone, some)

    return jax.lax.scan(step, bandit.init(ARMS, hp), (reward, count, jnp.arange(len(reward))))[1]


folded = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """Every method on the same traces: one program, vmapped over seeds."""
    reward, count = traces()
    every = program(lambda *x: {name: jax.vmap(partial(played, name))(*x) for name in NAMES})
    return every(reward, count, folded(random.key(7), np.arange(SEEDS)))


def test_the_names_are_those_of_the_table():
    assert set(NAMES) == set(METHODS)


def test_probabilities_add_up_and_spare_who_is_not_available(seen: dict[str, Any]):
    for name in NAMES:
        _, everyone, some = seen[name]
        for found in (everyone, some):
            np.testing.assert_allclose(found.sum(-1), 1.0, atol=1e-5, err_msg=name)
            assert (found >= 0).all(), name
        assert (some[..., 2] == 0).all(), name
        floor = bandit_of(name, {})[1].floor
        assert (everyone >= np.float32(floor) / ARMS - 1e-6).all() or name == "uniform", name


def softmax(scores: np.ndarray, temperature: float, floor: float) -> np.ndarray:
    weights = np.exp((scores - scores.max()) / temperature)
    return (1 - floor) * weights / weights.sum() + floor / len(scores)


def sec(hold: bool) -> Any:
    start, reversion = (0.3, 0.1) if hold else (0.0, 0.0)
    q = np.full(ARMS, start)

    def step(reward: Any, count: Any) -> Any:
        for i in range(ARMS):
            if count[i]:
                q[i] = 0.5 * q[i] + 0.5 * reward[i]
            elif hold:
                q[i] += reversion * (start - q[i])
            else:
                q[i] *= 0.5
        return softmax(q, 1.0, 0.0)

    return step


def dump() -> Any:
    kept, n = [deque(maxlen=WINDOW) for _ in range(ARMS)], np.zeros(ARMS)

    def step(reward: Any, count: Any) -> Any:
        for i in range(ARMS):
            if count[i]:
                kept[i].append(reward[i])
                n[i] += count[i]
        means = [np.mean(k) if k else 0.0 for k in kept]
        scores = np.array(
            [m + math.sqrt(2 * math.log(n.sum() + 1) / (x + 1)) for m, x in zip(means, n, strict=True)]
        )
        return softmax(scores, 0.1, 0.0)

    return step


def discounted_ucb() -> Any:
    history: list[Any] = []

    def step(reward: Any, count: Any) -> Any:
        history.append((reward, count))
        ages = 0.95 ** np.arange(len(history))[::-1]
        n = sum(a * c for a, (_, c) in zip(ages, history, strict=True))
        x = sum(a * c * r for a, (r, c) in zip(ages, history, strict=True))
        return softmax(index(n, x, n.sum(), 0.5), 0.1, 0.05)

    return step


def window_ucb() -> Any:
    history: deque[Any] = deque(maxlen=WINDOW)

    def step(reward: Any, count: Any) -> Any:
        history.append((reward, count))
        n, x = sum(c for _, c in history), sum(c * r for r, c in history)
        return softmax(index(n, x, n.sum(), 0.25), 0.1, 0.05)

    return step


def index(n: np.ndarray, x: np.ndarray, total: float, bonus: float) -> np.ndarray:
    known = np.maximum(n, 1e-12)
    return np.where(n > 0, x / known + bonus * np.sqrt(0.6 * np.log(max(total, 1)) / known), 1e6)


def exp3s() -> Any:
    w, gains, t = np.zeros(ARMS), [], [0]

    def step(reward: Any, count: Any) -> Any:
        pi = softmax(w, 1.0, 0.05)
        if count.any():
            gains.extend(reward[count > 0])
            low, high = np.quantile(gains, [0.2, 0.8])
            scaled = np.clip(2 * (reward - low) / (high - low) - 1, -1, 1) if high > low else 0 * reward
            t[0] += 1
            x = w + 0.2 * (np.where(count > 0, scaled, 0) * count / count.sum() + 0.1) / pi
            alpha, e = 1 / t[0], np.exp(x - x.max())
            w[:] = np.log([(1 - alpha) * e[i] + alpha / (ARMS - 1) * (e.sum() - e[i]) for i in range(ARMS)])
        return softmax(w, 1.0, 0.05)

    return step


def online() -> Any:
    q, before = np.zeros(ARMS), np.full(ARMS, np.nan)

    def step(reward: Any, count: Any) -> Any:
        for i in range(ARMS):
            change = reward[i] - before[i] if count[i] and not np.isnan(before[i]) else 0.0
            q[i] += 0.1 * (change - q[i])
            before[i] = reward[i] if count[i] else before[i]
        return greedy(np.abs(q))

    return step


def greedy(scores: np.ndarray) -> np.ndarray:
    best = np.isclose(scores, scores.max(), rtol=0, atol=0)
    return 0.9 * best / best.sum() + 0.1 / ARMS


def slope(pairs: Any) -> float:
    return np.polyfit(*zip(*pairs, strict=True), 1)[0] if len(pairs) > 1 else 1.0


def naive() -> Any:
    q, pairs, t = np.zeros(ARMS), [[] for _ in range(ARMS)], [0]

    def step(reward: Any, count: Any) -> Any:
        for i in range(ARMS):
            if count[i]:
                pairs[i].append((t[0], reward[i]))
        t[0] += 1
        if t[0] % 10 == 0:
            for i in range(ARMS):
                q[i] += 0.1 * (slope(pairs[i]) - q[i])
                pairs[i].clear()
        return greedy(np.abs(q))

    return step


def windowed() -> Any:
    pairs, t = [deque(maxlen=10) for _ in range(ARMS)], [0]

    def step(reward: Any, count: Any) -> Any:
        for i in range(ARMS):
            if count[i]:
                pairs[i].append((t[0], reward[i]))
        t[0] += 1
        return np.abs([slope(p) for p in pairs])

    return step


def adarft() -> Any:
    aim = [0.0]

    def step(reward: Any, count: Any) -> Any:
        if count.any():
            mean = (reward * count).sum() / count.sum()
            aim[0] = min(max(aim[0] + 0.5 * math.tanh(2 * (mean - 0.5)), 0.0), 1.0)
        return aim[0]

    return step


def learning_progress() -> Any:
    fast, slow = np.full(ARMS, np.nan), np.full(ARMS, np.nan)
    won, n, t = np.zeros(ARMS), np.zeros(ARMS), [0]
    base = np.minimum([0.1, 0.0, 0.9, 0.2], 0.75)
    f = lambda p: 0.9 * p / (p + 0.1 * (1 - 2 * p))

    def step(reward: Any, count: Any) -> Any:
        won[:] += reward * count
        n[:] += count
        t[0] += 1
        if t[0] % 3 == 0:
            for i in np.flatnonzero(n):
                q = max(won[i] / n[i] - base[i], 0.0) / (1 - base[i])
                first = np.isnan(fast[i])
                fast[i] = q if first else 0.1 * q + 0.9 * fast[i]
                slow[i] = q if first else 0.1 * fast[i] + 0.9 * slow[i]
            won[:], n[:] = 0, 0
        p, s = np.nan_to_num(fast), np.nan_to_num(slow)
        lp = np.abs(f(p) - f(s))
        able = (lp > 0) | (p > 0) | np.isnan(fast)
        able = able if able.any() else ~able
        z = (lp - lp[able].mean()) / (lp[able].std() or 1.0)
        w = able / (1 + np.exp(-z))
        return 0.95 * w / w.sum() + 0.05 / ARMS

    return step


REFERENCES = {
    "sec": lambda: sec(True),
    "sec-code": lambda: sec(False),
    "dump": dump,
    "discounted-ucb": discounted_ucb,
    "window-ucb": window_ucb,
    "tscl-online": online,
    "tscl-naive": naive,
    "learning-progress": learning_progress,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_method_equals_a_loop(name: str, seen: dict[str, Any]):
    reward, count = traces()
    for seed in range(SEEDS):
        step = REFERENCES[name]()
        expected = [step(*x) for x in zip(reward[seed].astype(float), count[seed], strict=True)]
        np.testing.assert_allclose(seen[name][1][seed], expected, atol=2e-4)


def test_exp3s_equals_a_loop_while_its_sample_of_gains_is_all_of_them():
    reward, count = (x[0] for x in traces())
    found = program(partial(played, "exp3s", reservoir=400))(reward, count, random.key(0))[1]
    step = exp3s()
    expected = [step(*x) for x in zip(reward.astype(float), count, strict=True)]
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_full_sample_of_gains_is_one_of_all_of_them(seen: dict[str, Any]):
    reward, count = traces()
    state = seen["exp3s"][0]
    assert state.gains[:, -1].tolist() == (count > 0).sum((1, 2)).tolist()
    for seed in range(SEEDS):
        assert set(state.sample[seed, -1].tolist()) <= set(reward[seed][count[seed] > 0].tolist())
    assert (state.sample[:, -1] != state.sample[:, 10]).any()


def test_states_of_the_rest_equal_loops(seen: dict[str, Any]):
    reward, count = traces()
    for seed in range(SEEDS):
        aims, slopes = adarft(), windowed()
        won = lost = squares = np.zeros(ARMS)
        expected = []
        for r, c in zip(reward[seed].astype(float), count[seed], strict=True):
            won, lost, squares = 0.95 * won + r * c, 0.95 * lost + c - r * c, 0.95 * squares + r * r * c
            expected.append((won, lost, squares, aims(r, c), slopes(r, c)))
        won, lost, squares, aim, slope = (np.array(x) for x in zip(*expected, strict=True))
        close = partial(np.testing.assert_allclose, atol=1e-4)
        close(seen["adarft"][0][seed], aim)
        close(np.abs(seen["tscl-window"][0].values[seed]), slope)
        close(seen["thompson-gaussian"][0].squares[seed], squares)
        for name in ("thompson", "learnability", "ordered"):
            close(seen[name][0].won[seed], won)
            close(seen[name][0].lost[seed], lost)
        a, b = won + 1, lost + 1
        for i in (5, 50):
            learnable = softmax_at((a * b / ((a + b) * (a + b + 1)))[i], 0.5 * ARMS)
            close(seen["learnability"][1][seed, i], 0.95 * learnable + 0.05 / ARMS, atol=2e-3)
        unmastered = a / (a + b) < 0.8
        first = np.where(unmastered.any(1), unmastered.argmax(1), ARMS - 1)
        assert (seen["ordered"][1][seed].argmax(1) == first).all()


def softmax_at(scores: np.ndarray, wanted: float) -> np.ndarray:
    """By a fine grid of temperatures."""
    found = [softmax(scores, t, 0.0) for t in np.ptp(scores) * np.exp(np.linspace(-6, 6, 4000))]
    p = np.clip(np.array(found), 1e-30, 1)
    return found[int(np.abs(np.exp(-(p * np.log(p)).sum(1)) - wanted).argmin())]


def test_thompson_draws_as_the_posteriors_say(seen: dict[str, Any]):
    """The arm with the largest p (1 - p), or the largest mean, of draws by NumPy."""
    rng, size = np.random.default_rng(1), 4_000
    state = jax.tree.map(lambda x: x[0, 20], seen["thompson"][0])
    p = rng.beta(state.won + 1, state.lost + 1, (size, ARMS))
    share = np.bincount((p * (1 - p)).argmax(1), minlength=ARMS) / size
    moments = jax.tree.map(lambda x: x[0, 20], seen["thompson-gaussian"][0])
    n = moments.draws + 1
    mean = (moments.rewards + 0.2) / n
    deviation = np.sqrt(((moments.squares + 1.04) / n - mean**2) / (n + 1))
    normal = np.bincount(rng.normal(mean, deviation, (size, ARMS)).argmax(1), minlength=ARMS) / size
    for name, expected, kept in (("thompson", share, state), ("thompson-gaussian", normal, moments)):
        bandit, hp = bandit_of(name, OPTIONS.get(name, {}))
        everyone = jax.device_put(np.ones(ARMS, bool))
        found = program(partial(draw, bandit, available=everyone, hp=hp, count=size))(random.key(3), kept)
        found = np.bincount(found, minlength=ARMS) / size
        np.testing.assert_allclose(found, 0.95 * expected + 0.05 / ARMS, atol=0.03)


def test_vmapped_seeds_are_the_single_ones(seen: dict[str, Any]):
    """Also over a method's own numbers."""
    reward, count = traces()
    one = program(lambda *x: {name: played(name, *x) for name in ("sec", "exp3s", "tscl-sampling", "omni")})
    fold = jax.jit(jax.random.fold_in)
    for seed in range(SEEDS):
        for name, single in one(reward[seed], count[seed], fold(random.key(7), seed)).items():
            assert_close(jax.tree.map(lambda x, seed=seed: x[seed], seen[name]), single)

    (bandit, _), key = bandit_of("sec", {}), random.key(7)
    feedback = Feedback(*jax.device_put((reward[0, 0], count[0, 0])))

    def after(step: Any) -> Any:
        hp = Hyperparameters(step=step)
        return bandit.update(key, bandit.init(ARMS, hp), feedback, hp)

    steps, alone = np.float32([0.1, 0.9]), program(after)
    np.testing.assert_allclose(program(jax.vmap(after))(steps), [alone(s) for s in steps], atol=1e-6)


def test_omni_leaves_little_to_what_is_boring(seen: dict[str, Any]):
    boring = np.array(OPTIONS["omni"]["boring"])
    interesting, rates = program(progress.interesting), np.float32([0.1, 0.9, 0.5, 0.7])
    fine = interesting(rates, boring, np.ones(ARMS, bool))
    # 1 is visited first and makes 0 and 2 boring; 3 is interesting.
    assert fine.tolist() == [False, True, False, True]
    fine = interesting(rates, boring, AVAILABLE & (np.arange(ARMS) != 1))
    assert fine.tolist() == [True, False, False, True]
    state, probabilities, _ = seen["omni"]
    last = interesting(state.fast[0, -1], boring, np.ones(ARMS, bool))
    assert probabilities[0, -1][~last].sum() < 0.01 + 0.05 * (~last).mean()  # what the floor leaves them


def test_omni_plays_what_is_boring_where_nothing_else_can_be_learned():
    """Regression: with a factor of 0 for the others, shares were 0 / 0."""
    bandit, hp = bandit_of("omni", {"boring": ((0, 1, 1), (0, 0, 0), (0, 0, 0)), "dull": 0.0, "floor": 0.0})

    @program
    def after(reward: Any, count: Any) -> Any:
        everyone = jnp.ones(3, bool)
        state = bandit.update(random.key(0), bandit.init(3, hp), Feedback(reward, count, everyone), hp)
        return bandit.probabilities(random.key(0), state, everyone, hp)

    # The first one never succeeds, and makes the others boring.
    np.testing.assert_allclose(after(np.zeros(3, np.float32), np.float32([4, 0, 0])), [0.0, 0.5, 0.5])


@pytest.mark.parametrize("name", ["learning-progress", "omni"])
def test_an_arm_without_a_success_is_not_given_up_for_good(name: str):
    """Of three arms one succeeded, one did not, and one was never measured; at the numbers that come with the method."""
    options = {"boring": ((False,) * 3,) * 3} if name == "omni" else {}
    bandit, hp = bandit_of(name, options)

    @program
    def after(count: Any, total: Any) -> Any:
        everyone = jnp.ones(3, bool)
        state = bandit.init(3, hp)
        for _ in range(3):
            state = bandit.update(random.key(0), state, Feedback(total / 4, count, everyone), hp)
        return bandit.probabilities(random.key(0), state, everyone, hp)

    found = after(np.float32([4, 4, 0]), np.float32([3, 0, 0]))
    assert found[2] > 0.1 and found[1] >= 0.04 / 3
    assert found.sum() == pytest.approx(1.0)


def test_perplexity_is_what_is_asked_for_and_ties_are_shared():
    everyone = np.ones(5, bool)
    at, perplexity = program(choice.at_perplexity), program(choice.perplexity)
    at_temperature = program(choice.at_temperature)
    for scale in (1e-6, 1.0, 1e5):
        scores = np.float32(scale) * np.float32([0.0, 0.1, 0.5, 0.6, 1.0])
        found = at(scores, everyone, np.float32(0.6))
        assert float(perplexity(found)) == pytest.approx(3.0, abs=1e-3)
    np.testing.assert_allclose(at(np.ones(5, np.float32), everyone, np.float32(0.2)), 0.2, atol=1e-6)
    found = at(np.arange(5, dtype=np.float32), np.arange(5) < 4, np.float32(0.5))
    assert float(found[4]) == 0.0 and float(perplexity(found)) == pytest.approx(2.0, abs=1e-3)
    nan = at_temperature(np.float32([np.nan, 1.0, np.inf]), np.ones(3, bool), np.float32(0.0))
    assert nan.tolist() == [0.0, 0.0, 1.0]
    best = at_temperature(np.float32([1.0, 2.0, 2.0]), np.ones(3, bool), np.float32(0.0))
    assert best.tolist() == [0.0, 0.5, 0.5]


def test_draws_follow_the_probabilities_and_never_an_arm_without():
    bandit = bandit_of("uniform", {})[0]._replace(
        probabilities=lambda key, state, available, hp: jnp.asarray([0.0, 0.25, 0.75, 0.0])
    )
    draws = program(draw, "bandit", "count")
    drawn = draws(bandit, random.key(0), (), np.ones(4, bool), Hyperparameters(), 4_000)
    assert (np.bincount(drawn, minlength=4) / 4_000).tolist() == pytest.approx([0, 0.25, 0.75, 0], abs=0.02)
    one = bandit._replace(probabilities=lambda key, state, available, hp: jnp.ones(1))
    assert draws(one, random.key(0), (), np.ones(1, bool), Hyperparameters(), 3).tolist() == [0, 0, 0]


def test_the_posterior_is_that_of_betas():
    rng = np.random.default_rng(0)
    a, b = np.array([1.0, 3.5, 20.0]), np.array([1.0, 1.5, 5.0])
    draws = rng.beta(a, b, (200_000, 3))

    @program
    def told(a: Any, b: Any) -> Any:
        found = Posterior(a, b)
        return found.mean, found.variance, found.learnability, found.between(0.2, 0.8)

    mean, variance, learnability, between = told(np.float32(a), np.float32(b))
    np.testing.assert_allclose(mean, draws.mean(0), atol=3e-3)
    np.testing.assert_allclose(variance, draws.var(0), atol=1e-3)
    np.testing.assert_allclose(learnability, (draws * (1 - draws)).mean(0), atol=2e-3)
    np.testing.assert_allclose(between, ((draws > 0.2) & (draws < 0.8)).mean(0), atol=5e-3)


def lived(name: str, rewards: Any, key: Any, **options: Any) -> Any:
    """Arms drawn one at a time, ``[steps]``, where their rewards are ``rewards [steps, arms]``."""
    bandit, hp = bandit_of(name, options)
    arms = rewards.shape[1]

    def step(state: Any, x: Any) -> Any:
        reward, k = x
        arm = draw(bandit, k, state, jnp.ones(arms, bool), hp, 1)[0]
        count = jax.nn.one_hot(arm, arms, dtype=jnp.float32)
        return bandit.update(jax.random.fold_in(k, 1), state, Feedback(reward, count), hp), arm

    keys = jax.random.split(key, len(rewards))
    return jax.lax.scan(step, bandit.init(arms, hp), (rewards, keys))[1]


FORGETTING = {
    "sec": {"temperature": 0.1, "floor": 0.05},
    "discounted-ucb": {"temperature": 0.0, "bonus": 0.3},
    "window-ucb": {"temperature": 0.0, "window": 50, "bonus": 0.3},
    "thompson-gaussian": {"bonus": 0.3},
}


def test_the_better_arm_is_found_again_after_a_switch_and_after_starvation():
    """The best of two swaps at step 500: 80 % of the draws go to the new one within 100 steps.

    An arm that gives 0 for 50 steps and is the best from then on is drawn again, but for SEC at temperature 0.05 without a floor.
    """
    t = np.arange(1_000)
    switch = np.stack([t < 500, t >= 500], 1) * 0.8 + 0.1
    starved = np.stack([t >= 50, np.ones_like(t)], 1) * np.asarray([1.0, 0.5])
    cases = {**FORGETTING, "locked": {"temperature": 0.02, "floor": 0.0}}

    def run(rewards: Any, key: Any) -> Any:
        method = lambda case: "sec" if case == "locked" else case
        return {case: lived(method(case), rewards, key, **cases[case]) for case in cases}

    keys = folded(random.key(0), np.arange(8))
    every = program(jax.vmap(jax.vmap(run, (None, 0)), (0, None)))
    found = every(np.stack([switch, starved]).astype(np.float32), keys)
    for case, (swapped, hungry) in found.items():
        again = (hungry[:, -300:] == 0).mean()
        if case == "locked":
            assert again < 0.5
            continue
        assert (swapped[:, 400:500] == 0).mean() > 0.8, case
        for draws in swapped:
            share = np.stack([np.convolve(draws == arm, np.ones(20) / 20)[: len(t)] for arm in range(2)], 1)
            (late,) = times_to_reallocate(share, np.asarray(t) >= 500)
            assert late <= 100, case
        assert again > 0.8, case


def test_an_order_is_gone_through_and_back():
    rewards = np.repeat(np.float32([[1.0], [0.0]]), 20, 0) * np.ones(3, np.float32)
    for name, order in (("ordered", [0, 1, 2]), ("reverse", [2, 1, 0])):
        go = program(partial(lived, name, floor=0.0, discount=0.95))
        arms = go(rewards, random.key(0))
        assert list(dict.fromkeys(arms[:20].tolist())) == order
        assert arms[-1] == order[0]


def test_adcl_goes_from_easy_to_hard_as_measured_anew():
    p = np.array([0.4, 0.9, 0.2, 0.7], np.float32)
    bandit, hp = bandit_of("adcl", {"windows": 2, "probe": 1, "stay": 4, "discount": 0.0})
    state, key, seen = bandit.init(4, hp), random.key(0), []
    feedback = lambda p: Feedback(*jax.device_put((p, np.full(4, 10.0, np.float32))))
    update, ask = jax.jit(bandit.update), program(bandit.probabilities)
    for i in range(12):
        seen.append(ask(key, state, np.ones(4, bool), hp))
        # From the sixth update on the two hard ones have changed places.
        state = update(key, state, feedback(p if i < 5 else p[[2, 1, 0, 3]]), hp)
    even = lambda *arms: [1 / len(arms) if i in arms else 0 for i in range(4)]
    expected = [even(0, 1, 2, 3), even(1, 3), *2 * [even(1)], *2 * [even(3)]]
    expected += [even(0, 2), *2 * [even(2)], *2 * [even(0)], even(0, 1, 2, 3)]
    np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_groups_without_advantage_close_an_arm():
    feedback = Feedback(*jax.device_put(list(np.float32([[0.0, 0.5, 1.0, 0.0], [4.0, 4.0, 4.0, 1.0]]))))
    for name, expected in (("filter", [0.025, 0.475, 0.025, 0.475]), ("pools", [0.1, 0.4, 0.1, 0.4])):
        bandit, hp = bandit_of(name, {})

        @program
        def after(key: Any, feedback: Any, bandit: Any = bandit, hp: Any = hp) -> Any:
            state = bandit.update(key, bandit.init(4, hp), feedback, hp)
            return bandit.probabilities(key, state, jnp.ones(4, bool), hp)

        found = after(random.key(0), feedback)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_options_that_a_method_does_not_take_are_refused():
    for name, options, said in (
        ("sec", {"temprature": 1.0}, "sec does not take: did you mean temperature"),
        ("sec", {"window": 3}, "curriculum_options has window, which sec does not take"),
        ("uniform", {"floor": 0.1}, "it takes none of its own"),
        ("dump", {"window": 0}, "curriculum_options.window is 0; it must be a whole number of at least 1"),
        ("sec", {"floor": 2.0}, r"curriculum_options.floor is 2.0; it must be a number between 0 and 1"),
        ("tscl-online", {"absolute": "no"}, "absolute is 'no'; it must be True or False"),
        ("thompson", {"worth": "sucess"}, "worth is 'sucess', which is not known: did you mean success"),
        ("secs", {}, "method is 'secs', which is not known: did you mean sec"),
    ):
        with pytest.raises(ValueError, match=said):
            bandit_of(name, options)


@pytest.mark.parametrize("name", ["omni", "adarft"])
def test_tables_may_be_arrays(name):
    option, given = {"omni": ("boring", ((0, 1), (0, 0))), "adarft": ("difficulty", (0.2, 0.6))}[name]
    available = jnp.ones((2,), bool)
    found = []
    for value in (given, np.asarray(given)):
        bandit, hp = bandit_of(name, {option: value})
        found.append(bandit.probabilities(random.key(0), bandit.init(2, hp), available, hp))
    np.testing.assert_array_equal(*found)
