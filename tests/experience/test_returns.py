"""Returns against per-step NumPy oracles, closed forms and values computed with rlax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.experience import returns
from jaxrl_evolve.experience.returns import gae, lambda_returns, n_step_returns, retrace, vtrace

# Functions of data on the host, by programs that equal shapes share.
_gae_of, _lambda_of = jax.jit(returns.gae), jax.jit(returns.lambda_returns)
_n_step_of = jax.jit(returns.n_step_returns, static_argnames="n")
_vtrace_of = jax.jit(returns.vtrace)

GAMMA, LAM = 0.9, 0.8


def _random(seed: int, steps: int = 37, lanes: tuple[int, ...] = (5,)) -> dict[str, np.ndarray]:
    """Random steps whose next_value is unrelated to value after an end, as with a true successor."""
    rng = np.random.default_rng(seed)
    shape = (steps, *lanes)
    terminated, truncated = rng.random((2, *shape)) < 0.15
    value, reward, log_ratio, elsewhere = rng.normal(size=(4, *shape)).astype(np.float32)
    ended = terminated | truncated
    following = np.concatenate([value[1:], elsewhere[-1:]])
    return {
        "reward": reward,
        "value": value,
        "next_value": np.where(ended, elsewhere, following),
        "terminated": terminated,
        "ended": ended,
        "log_ratio": log_ratio,
    }


def _episodes(ended: np.ndarray) -> list[range]:
    """Index ranges of the (possibly unfinished) episodes of one lane."""
    stops = [t + 1 for t in np.flatnonzero(ended)]
    if not stops or stops[-1] != len(ended):
        stops.append(len(ended))
    return [range(a, b) for a, b in zip([0, *stops[:-1]], stops, strict=True)]


def _per_lane(data: dict[str, np.ndarray], function) -> np.ndarray:
    """Apply ``function(lane, episode) -> {t: number}`` to each episode of each lane, in float64."""
    out = np.full(data["reward"].shape, np.nan)
    for lane in range(out.shape[1]):
        single = {k: v[:, lane].astype(bool if v.dtype == bool else np.float64) for k, v in data.items()}
        for episode in _episodes(single["ended"]):
            for t in episode:
                out[t, lane] = function(single, episode, t)
    return out


def _oracle_n_step(d, episode, t, n):
    total, last = 0.0, min(t + n, episode.stop) - 1
    for i in range(t, last + 1):
        total += GAMMA ** (i - t) * d["reward"][i]
    alive = not d["terminated"][last]
    return total + alive * GAMMA ** (last + 1 - t) * d["next_value"][last]


def _oracle_lambda(d, episode, t):
    """The definition: a weighted sum of all n-step returns that fit, the longest takes the rest."""
    longest = episode.stop - t
    weights = [(1 - LAM) * LAM ** (n - 1) for n in range(1, longest)] + [LAM ** (longest - 1)]
    return sum(w * _oracle_n_step(d, episode, t, n) for n, w in enumerate(weights, 1))


def _oracle_gae(d, episode, t):
    """Schulman et al. eq. 16: the exponentially weighted sum of one-step errors."""
    total = 0.0
    for i in range(t, episode.stop):
        bootstrap = 0.0 if d["terminated"][i] else GAMMA * d["next_value"][i]
        total += (GAMMA * LAM) ** (i - t) * (d["reward"][i] + bootstrap - d["value"][i])
    return total


def _oracle_vtrace(d, episode, t, lam=LAM, rho_bar=1.1, c_bar=0.7):
    """Espeholt et al. eq. 1: products of clipped ratios in front of clipped errors."""
    total, product = d["value"][t], 1.0
    for i in range(t, episode.stop):
        ratio = np.exp(d["log_ratio"][i])
        bootstrap = 0.0 if d["terminated"][i] else GAMMA * d["next_value"][i]
        error = min(rho_bar, ratio) * (d["reward"][i] + bootstrap - d["value"][i])
        total += GAMMA ** (i - t) * product * error
        product *= lam * min(c_bar, ratio)
    return total


def _oracle_vtrace_advantage(d, episode, t, pg_rho_bar=1.3):
    if d["terminated"][t]:
        after = 0.0
    elif t == episode.stop - 1:
        after = d["next_value"][t]
    else:
        after = LAM * _oracle_vtrace(d, episode, t + 1) + (1 - LAM) * d["value"][t + 1]
    return min(pg_rho_bar, np.exp(d["log_ratio"][t])) * (d["reward"][t] + GAMMA * after - d["value"][t])


def _arrays(d, *names):
    return (d[name] for name in names)


def _gae(d, gamma=GAMMA, lam=LAM):
    return _gae_of(*_arrays(d, "reward", "value", "next_value", "terminated", "ended"), gamma, lam)


def _lambda(d):
    return _lambda_of(*_arrays(d, "reward", "next_value", "terminated", "ended"), GAMMA, LAM)


def _n_step(d, n):
    return _n_step_of(*_arrays(d, "reward", "next_value", "terminated", "ended"), GAMMA, n)


def _vtrace(d, **options):
    names = ("log_ratio", "reward", "value", "next_value", "terminated", "ended")
    return _vtrace_of(*_arrays(d, *names), GAMMA, **options)


@pytest.mark.parametrize("seed", range(4))
def test_against_per_episode_numpy(seed):
    data = _random(seed)
    advantages, targets = _gae(data)
    np.testing.assert_allclose(advantages, _per_lane(data, _oracle_gae), rtol=1e-4, atol=1e-5)
    expected = _per_lane(data, _oracle_lambda)
    np.testing.assert_allclose(targets, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(_lambda(data), expected, rtol=1e-4, atol=1e-5)
    out = _vtrace(data, lam=LAM, rho_bar=1.1, c_bar=0.7, pg_rho_bar=1.3)
    np.testing.assert_allclose(out.targets, _per_lane(data, _oracle_vtrace), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        out.advantages, _per_lane(data, _oracle_vtrace_advantage), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("n", [1, 2, 5, 37, 1000])
def test_n_step_against_numpy(n):
    data = _random(11)
    found = _n_step(data, n)
    expected = _per_lane(data, lambda d, episode, t: _oracle_n_step(d, episode, t, n))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# Computed once with rlax 0.1.9 on jax 0.10.2 (CPU): truncated_generalized_advantage_estimation,
# lambda_returns, n_step_bootstrapped_returns, vtrace_td_error_and_advantage (targets = errors + v).
# rlax takes discounts and values of one unbroken series, so its cases end by termination only.
RLAX_INPUT = {
    "reward": np.float32([1.0, -0.5, 2.0, 0.0, 0.25, 1.5]),
    "value": np.float32([0.3, -0.2, 0.8, 0.1, -0.4, 0.6]),
    "next_value": np.float32([-0.2, 0.8, 0.1, -0.4, 0.6, 0.9]),
    "terminated": np.array([0, 0, 1, 0, 0, 0], bool),
    "ended": np.array([0, 0, 1, 0, 0, 0], bool),
    "log_ratio": np.float32([0.2, -0.5, 0.7, 0.0, -0.1, 1.2]),
}
RLAX_GAE = [1.44447994, 1.28399992, 1.20000005, 1.28326392, 2.42120004, 1.70999992]
RLAX_LAMBDA = [1.74448001, 1.08399999, 2.0, 1.38326383, 2.02119994, 2.30999994]
RLAX_3_STEP = [2.17000008, 1.29999995, 2.0, 2.09609985, 2.32899999, 2.30999994]
RLAX_VTRACE = {  # clip_rho_threshold=1.1, clip_pg_rho_threshold=1.3; rlax clips traces at 1
    1.0: (
        [1.74977112, 0.77530128, 2.12000012, 1.98770022, 2.20855570, 2.48099995],
        [1.70724154, 0.97530138, 1.56000006, 1.88770008, 2.60855580, 2.22299981],
    ),
    0.8: (
        [1.47045660, 0.63118964, 2.12000012, 1.29758108, 1.90219605, 2.48099995],
        [1.36608601, 0.83118969, 1.56000006, 1.19758105, 2.30219603, 2.22299981],
    ),
}


def test_against_rlax():
    d = RLAX_INPUT
    close = lambda found, expected: np.testing.assert_allclose(found, expected, rtol=1e-5)
    close(_gae(d)[0], RLAX_GAE)
    close(_lambda(d), RLAX_LAMBDA)
    close(_n_step(d, 3), RLAX_3_STEP)
    for lam, (targets, advantages) in RLAX_VTRACE.items():
        out = _vtrace(d, lam=lam, rho_bar=1.1, pg_rho_bar=1.3)
        close(out.targets, targets)
        close(out.advantages, advantages)


def test_time_limits_alone_leave_no_advantage():
    """Reward 1 for ever is worth 1 / (1 - gamma), however often a time limit cuts in."""
    shape, gamma = (64, 3), 0.95
    worth = np.full(shape, 1 / (1 - gamma), np.float32)
    data = {
        "reward": np.ones(shape, np.float32),
        "value": worth,
        "next_value": worth,
        "terminated": np.zeros(shape, bool),
        "ended": np.random.default_rng(0).random(shape) < 0.2,
        "log_ratio": np.zeros(shape, np.float32),
    }
    advantages, targets = _gae(data, gamma)
    np.testing.assert_allclose(advantages, 0, atol=1e-4)
    np.testing.assert_allclose(targets, worth, rtol=1e-5)
    data["terminated"] = data["ended"]
    assert np.all(np.asarray(_gae(data, gamma)[0])[data["ended"]] < -10)  # the same cuts as true ends do hurt


def test_monte_carlo_and_one_step_limits():
    data = _random(3, lanes=(4,))
    data["terminated"] = data["ended"]
    data["terminated"][-1] = data["ended"][-1] = True
    expected = np.zeros_like(data["reward"])
    following = np.zeros(4)
    for t in reversed(range(len(expected))):
        following = data["reward"][t] + GAMMA * np.where(data["ended"][t], 0, following)
        expected[t] = following
    np.testing.assert_allclose(_gae(data, lam=1.0)[1], expected, rtol=1e-4, atol=1e-5)
    one_step = data["reward"] + GAMMA * ~data["terminated"] * data["next_value"]
    np.testing.assert_allclose(_gae(data, lam=0.0)[1], one_step, rtol=1e-4, atol=1e-5)


def test_vtrace_on_policy_is_the_lambda_return():
    data = _random(5)
    data["log_ratio"] = np.zeros_like(data["reward"])
    np.testing.assert_allclose(_vtrace(data, lam=LAM).targets, _lambda(data), rtol=1e-4, atol=1e-5)


def test_nothing_leaks_across_an_end():
    data = _random(6)
    data["ended"][20], data["terminated"][20] = True, False
    before = [_gae(data)[0], _lambda(data), *_vtrace(data)]
    for name in ("reward", "value", "next_value", "log_ratio"):
        data[name][21:] += 100
    after = [_gae(data)[0], _lambda(data), *_vtrace(data)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(np.asarray(a)[:21], np.asarray(b)[:21])
        assert not np.allclose(np.asarray(a)[21:], np.asarray(b)[21:])


def test_gamma_and_lam_are_traced_and_dtypes_are_strong():
    data = _random(7, lanes=(2, 3))
    traces = []

    @jax.jit
    def run(gamma, lam):
        traces.append(1)
        return _gae(data, gamma, lam)

    swept = program(jax.vmap(run, in_axes=(0, None)))(np.array([0.9, 0.5], np.float32), np.float32(0.8))
    np.testing.assert_allclose(swept[0][0], _gae(data)[0], rtol=1e-5, atol=1e-6)
    assert swept[0].shape == (2, 37, 2, 3)
    assert len(traces) == 1
    for out in (*_gae(data), _lambda(data), *_vtrace(data)):
        assert out.dtype == jnp.float32
        assert not out.weak_type


def test_gradients_flow():
    data = _random(8)
    gradient = program(jax.grad(lambda v: _gae({**data, "value": v})[0].sum()))(data["value"])
    np.testing.assert_allclose(gradient, -np.asarray(_weights(data)), rtol=1e-4)


def _weights(data):
    """How often each one-step error is counted: the transposed trace, run forwards in time."""
    weight, out = np.zeros(5), []
    for t in range(37):
        weight = 1 + GAMMA * LAM * weight * (~data["ended"][t - 1] if t else 0)
        out.append(weight)
    return out


def test_bad_input_is_named():
    data = _random(9)
    with pytest.raises(ValueError, match=r"next_value has shape \(37, 4\), reward has \(37, 5\)"):
        _gae({**data, "next_value": data["next_value"][:, 1:]})
    with pytest.raises(ValueError, match="n is 0"):
        _n_step(data, 0)
    with pytest.raises(ValueError, match="time axis"):
        _gae({k: v[:0] for k, v in data.items()})


def test_a_successor_without_a_number_gives_the_advantages_of_one_without_value():
    one, zero, flags = np.ones(2, np.float32), np.zeros(2, np.float32), np.ones(2, bool)
    advantage, target = _gae_of(one, zero, np.full(2, np.nan, np.float32), flags, flags, 0.9, 0.95)
    np.testing.assert_array_equal(advantage, [1.0, 1.0])
    terminated = np.array([False, True])
    advantage, target = _gae_of(one, zero, np.float32([0.0, np.nan]), terminated, terminated, 0.9, 0.95)
    np.testing.assert_allclose(advantage, [1.855, 1.0], rtol=1e-6)
    np.testing.assert_allclose(target, [1.855, 1.0], rtol=1e-6)


@pytest.mark.parametrize("name", ["gae", "lambda_returns", "n_step_returns", "vtrace", "retrace"])
@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_what_lies_beyond_an_end_is_selected_away_whatever_it_is(name: str, nothing: float):
    """Values and gradients are those with zeros in its place."""
    data = _random(3)
    broken = {**data, "next_value": np.where(data["terminated"], nothing, data["next_value"])}
    whole = {**data, "next_value": np.where(data["terminated"], 0.0, data["next_value"])}

    @program
    def results(d: dict[str, jax.Array], scale: jax.Array) -> jax.Array:
        nexts, ends = scale * d["next_value"], (d["terminated"], d["ended"])
        value = scale * d["value"]
        match name:
            case "gae":
                return gae(d["reward"], value, nexts, *ends, GAMMA, LAM)[0]
            case "lambda_returns":
                return lambda_returns(d["reward"], nexts, *ends, GAMMA, LAM)
            case "n_step_returns":
                return n_step_returns(d["reward"], nexts, *ends, GAMMA, 3)
            case "vtrace":
                made = vtrace(d["log_ratio"], d["reward"], value, nexts, *ends, GAMMA, LAM)
                return jnp.stack([made.targets, made.advantages])
        return retrace(d["reward"], value, nexts, d["log_ratio"], *ends, GAMMA, LAM)

    one = np.float32(1.0)
    assert np.isfinite(results(whole, one)).all()
    np.testing.assert_array_equal(results(broken, one), results(whole, one))


@pytest.mark.parametrize("terminated", [True, False])
def test_an_episode_of_no_numbers_leaves_the_one_before_it_alone(terminated: bool):

    @program
    def found(nan: jax.Array, zero: jax.Array, *ends: jax.Array) -> list[jax.Array]:
        return [
            gae(nan, zero, zero, *ends, 0.9, 0.95)[0],
            lambda_returns(nan, zero, *ends, 0.9, 0.95),
            n_step_returns(nan, zero, *ends, 0.9, 3),
            *vtrace(zero, nan, zero, zero, *ends, 0.9),
            retrace(nan, zero, zero, zero, *ends, 0.9, 0.95),
        ]

    given = np.float32([1.0, np.nan]), np.zeros(2, np.float32), np.full(2, terminated), np.ones(2, bool)
    np.testing.assert_array_equal(np.stack(found(*given)), [[1.0, np.nan]] * 6)
