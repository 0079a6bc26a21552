"""Disco rules against slow readings of the paper, and agents that learn by them."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from jaxrl_envs import make
from jaxrl_envs.resets import resets_from_name
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience import normalisation
from jaxrl_evolve.experience.returns import retrace
from jaxrl_evolve.learners.disco import DiscoAgentConfig, DiscoHyperparameters, disco_agent
from jaxrl_evolve.learners.optimiser import clipped_step, init_optimiser
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.meta import MetaTrainConfig, meta_train
from jaxrl_evolve.networks.distributions import Categorical
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.objectives import HorizonRange, RuleObjective, TimeFeatures, load_objective, lpg
from jaxrl_evolve.objectives.disco import (
    AgentOutputs,
    DiscoBatch,
    DiscoConfig,
    DiscoRule,
    RuleState,
    convert,
    disco,
    disco_with_time,
    load_disco_weights,
    published,
    values,
)
from jaxrl_evolve.objectives.disco.network import Core, CoreState, PerAction
from jaxrl_evolve.objectives.kinds import find_objective
from jaxrl_evolve.random import key
from jaxrl_evolve.runs.chunk import make_chunk
from jaxrl_evolve.trajectory import PolicyOutput, Trajectory

TIME = TimeFeatures(("fraction", "log_horizon"), HorizonRange(100.0, 10_000.0))
SMALL = DiscoConfig(predictions=5, bins=7, limit=3.0, width=6, lifetime_width=4, hidden=3)
HP = SimpleNamespace(
    gamma=0.9,
    retrace_lambda=0.8,
    policy_coef=1.0,
    prediction_coef=0.7,
    action_prediction_coef=0.6,
    next_policy_coef=0.5,
    value_coef=0.2,
)
CLOCK = Clock.at(300.0, 1000.0)
T, N, A = 6, 3, 4


def rule_of(config: DiscoConfig) -> DiscoRule:
    return disco(config).rule


def random_eta(config: DiscoConfig, seed: int = 0) -> Any:
    eta = jax.jit(disco(config).init)(key(seed))
    noise = np.random.default_rng(seed)
    return {k: v + 0.2 * noise.normal(size=v.shape).astype(np.float32) for k, v in eta.items()}


def some_batch(config: DiscoConfig, seed: int = 0) -> DiscoBatch:
    """Random numbers for everything; episodes terminate and are truncated."""
    r = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(1.5 * r.normal(size=(T, N, *shape)), jnp.float32)

    def outputs() -> AgentOutputs:
        m = config.predictions
        return AgentOutputs(draw(A), draw(m), draw(A, m), draw(A, A), draw(A, config.bins))

    ends = r.integers(0, 6, (T, N))
    actor = Categorical(draw(A))
    action = jnp.asarray(r.integers(0, A, (T, N)), jnp.int32)
    t = Trajectory(
        obs=(),
        action=action,
        reward=draw(),
        terminated=jnp.asarray(ends == 0),
        truncated=jnp.asarray(ends == 1),
        first=jnp.zeros((T, N), bool),
        next_obs=(),
        policy=PolicyOutput(actor.log_prob(action), None, actor),
    )
    return DiscoBatch(t, outputs(), outputs(), outputs(), outputs())


def some_state(config: DiscoConfig) -> RuleState:
    state = rule_of(config).init_state()
    r = np.random.default_rng(7)
    width = config.lifetime_width
    lifetime = CoreState(*(jnp.asarray(r.normal(size=width), jnp.float32) for _ in range(2)))
    return dataclasses.replace(
        state, lifetime=lifetime, advantages=state.advantages.merge(jnp.asarray([1.0, -3.0]))
    )


# --- the slow reading: float64, one environment and one step at a time ---


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def h(x: Any) -> Any:
    return np.sign(x) * (np.sqrt(np.abs(x) + 1) - 1) + 1e-3 * x


def h_inverse(y: Any) -> Any:
    root = (np.sqrt(1 + 4e-3 * (np.abs(y) + 1 + 1e-3)) - 1) / 2e-3
    return np.sign(y) * (root**2 - 1)


def slog(x: Any) -> Any:
    return np.sign(x) * np.log1p(np.abs(x))


def slow_lstm(x: Any, c: Any, hidden: Any, kernel: Any, bias: Any) -> Any:
    i, g, f, o = np.split(np.concatenate([x, hidden]) @ kernel + bias, 4)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def slow_actions(eta: Any, name: str, x: Any, layers: int) -> Any:
    for i in range(layers):
        mean = x.mean(0)
        rows = [np.concatenate([row, mean]) @ eta[f"{name}.layer_{i}.kernel"] for row in x]
        x = np.maximum(np.stack(rows) + eta[f"{name}.layer_{i}.bias"], 0)
    return x


def slow_embed(eta: Any, name: str, probabilities: Any) -> Any:
    x = np.maximum(probabilities @ eta[f"{name}.hidden.kernel"] + eta[f"{name}.hidden.bias"], 0)
    return (x @ eta[f"{name}.out.kernel"] + eta[f"{name}.out.bias"])[..., 0]


def slow_read(eta: Any, name: str, facts: Any) -> Any:
    """27 inputs of one step, and the features of its actions."""
    a = facts["a"]
    ys = [slow_embed(eta, f"{name}.y", softmax(o.y)) for o in facts["outputs"]]
    zs = [slow_embed(eta, f"{name}.z", softmax(o.z)) for o in facts["outputs"]]
    pi, pi_next = facts["pi"], facts["pi_next"]
    x = [*facts["step"], *ys]
    for now, after in (zs[:2], zs[2:]):
        x += [now[a], pi @ now, pi_next @ after, now.max(), after.max()]
    columns = [*facts["policies"], zs[0], zs[2], *facts["values"]]
    actions = slow_actions(eta, f"{name}.action", np.stack(columns, -1), 2)
    return np.concatenate([x, actions.mean(0), actions[a]]), actions


def slow_rule(config: DiscoConfig, eta: Any, state: RuleState, batch: DiscoBatch, clock: Clock) -> Any:
    to64 = lambda tree: jax.tree.map(
        lambda x: np.asarray(x, np.float64 if np.asarray(x).dtype.kind == "f" else None), tree
    )
    eta, batch, t = to64(eta), to64(batch), to64(batch.trajectory)
    bins = np.linspace(-config.limit, config.limit, config.bins)
    q_of = lambda o: h_inverse(softmax(o.q) @ bins)
    pi, pi_next, slow_pi = (softmax(o.policy) for o in (batch.now, batch.after, batch.slow_now))
    mu = softmax(t.policy.distribution.logits)
    v, v_next = (pi * q_of(batch.now)).sum(-1), (pi_next * q_of(batch.after)).sum(-1)
    slow_q, slow_v = q_of(batch.slow_now), (pi * q_of(batch.slow_now)).sum(-1)
    slow_v_next = (pi_next * q_of(batch.slow_after)).sum(-1)
    rows = np.arange(T)[:, None], np.arange(N)[None], t.action
    ended = t.terminated | t.truncated
    q_a, rho = slow_q[rows], pi[rows] / mu[rows]
    target = np.zeros((T, N))
    for i in reversed(range(T)):
        for n in range(N):
            follow = 0.0
            if i + 1 < T and not ended[i, n]:
                c = HP.retrace_lambda * min(1.0, rho[i + 1, n])
                follow = c * (target[i + 1, n] - q_a[i + 1, n])
            goes_on = 0.0 if t.terminated[i, n] else HP.gamma
            target[i, n] = t.reward[i, n] + goes_on * (slow_v_next[i, n] + follow)
    advantage, action_advantage = target - slow_v, slow_q - slow_v[..., None]
    first = 0.99 * float(state.advantages.first) + 0.01 * advantage.mean()
    second = 0.99 * float(state.advantages.second) + 0.01 * (advantage**2).mean()
    weight = 1.0 - 0.99 * float(state.advantages.unseen)
    mean, deviation = first / weight, np.sqrt(second / weight - (first / weight) ** 2)

    gate = np.asarray(state.lifetime.hidden, np.float64) @ eta["gate.kernel"] + eta["gate.bias"]
    if config.time.size:
        gate = gate + np.asarray(config.time.features(clock), np.float64) @ eta["gate_time"]
    answers = {"policy": np.zeros((T, N, A)), "y": np.zeros((T, N, 5)), "z": np.zeros((T, N, 5))}
    pooled = []
    for n in range(N):
        c, hidden = np.zeros(config.width), np.zeros(config.width)
        for i in reversed(range(T)):
            a = t.action[i, n]
            facts = {
                "a": a,
                "pi": pi[i, n],
                "pi_next": pi_next[i, n],
                "outputs": [
                    jax.tree.map(lambda x, i=i, n=n: x[i, n], o)
                    for o in (batch.now, batch.after, batch.slow_now, batch.slow_after)
                ],
                "step": [
                    pi[i, n, a],
                    mu[i, n, a],
                    slog(t.reward[i, n]),
                    float(not t.terminated[i, n]),
                    slog(v[i, n]),
                    slog(v_next[i, n]),
                    slog(advantage[i, n]),
                    (advantage[i, n] - mean) / deviation,
                    slow_pi[i, n, a],
                ],
                "policies": [pi[i, n], mu[i, n], slow_pi[i, n]],
                "values": [
                    slog(slow_q[i, n]),
                    slog(action_advantage[i, n]),
                    (action_advantage[i, n] - mean) / deviation,
                    np.eye(A)[a],
                ],
            }
            if ended[i, n]:
                c, hidden = np.zeros(config.width), np.zeros(config.width)
            x, features = slow_read(eta, "reader", facts)
            c, hidden = slow_lstm(x, c, hidden, eta["core.kernel"], eta["core.bias"])
            core = hidden * gate
            answers["y"][i, n] = core @ eta["y.kernel"] + eta["y.bias"]
            answers["z"][i, n] = core @ eta["z.kernel"] + eta["z.bias"]
            spread = np.stack([np.concatenate([core, row]) for row in features])
            heads = slow_actions(eta, "action", spread, 1)
            answers["policy"][i, n] = (heads @ eta["policy.kernel"] + eta["policy.bias"])[:, 0]
            note = core @ eta["note.kernel"] + eta["note.bias"]
            wanted = slow_embed(eta, "life_reader.y", softmax(answers["y"][i, n]))
            told = np.concatenate([slow_read(eta, "life_reader", facts)[0], note, [wanted]])
            pooled.append(told @ eta["life_input.kernel"] + eta["life_input.bias"])
    lifetime = slow_lstm(
        np.mean(pooled, 0),
        np.asarray(state.lifetime.cell, np.float64),
        np.asarray(state.lifetime.hidden, np.float64),
        eta["life_core.kernel"],
        eta["life_core.bias"],
    )
    return answers, target, lifetime, (first, second)


def slow_loss(config: DiscoConfig, batch: DiscoBatch, answers: Any, target: Any) -> float:
    t, now = batch.trajectory, batch.now
    bins = np.linspace(-config.limit, config.limit, config.bins)

    def kl(p: Any, q: Any) -> float:
        p, q = softmax(np.asarray(p, np.float64)), softmax(np.asarray(q, np.float64))
        return float((p * np.log(p / q)).sum())

    total = 0.0
    for i in range(T):
        for n in range(N):
            a = int(t.action[i, n])
            total += HP.policy_coef * kl(answers["policy"][i, n], now.policy[i, n])
            total += HP.prediction_coef * kl(answers["y"][i, n], now.y[i, n])
            total += HP.action_prediction_coef * kl(answers["z"][i, n], now.z[i, n, a])
            if not t.terminated[i, n]:
                total += HP.next_policy_coef * kl(batch.after.policy[i, n], now.next_policy[i, n, a])
            place = np.clip(h(target[i, n]), -config.limit, config.limit)
            two_hot = np.maximum(1 - np.abs(bins - place) / (bins[1] - bins[0]), 0)
            total -= HP.value_coef * (two_hot * np.log(softmax(np.asarray(now.q[i, n, a], np.float64)))).sum()
    return total / (T * N)


@pytest.mark.parametrize("time", [TimeFeatures(), TIME], ids=["disco", "ta-disco"])
def test_targets_loss_and_memory_are_those_of_the_paper(time: TimeFeatures):
    config = dataclasses.replace(SMALL, time=time)
    rule, eta, batch, state = rule_of(config), random_eta(config), some_batch(config), some_state(config)
    targets, after, _ = jax.jit(rule.targets)(eta, state, batch, HP_TREE, CLOCK)
    answers, q_target, lifetime, moments = slow_rule(config, eta, state, batch, CLOCK)
    for name, want in answers.items():
        np.testing.assert_allclose(getattr(targets, name), want, rtol=2e-3, atol=2e-4, err_msg=name)
    np.testing.assert_allclose(targets.q, q_target, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(after.lifetime.cell, lifetime[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(after.lifetime.hidden, lifetime[1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose((after.advantages.first, after.advantages.second), moments, rtol=1e-4)
    loss, _ = jax.jit(lambda targets, batch: rule.loss(batch.now, targets, batch, HP))(targets, batch)
    np.testing.assert_allclose(loss, slow_loss(config, batch, answers, q_target), rtol=1e-3)


HP_TREE = DiscoHyperparameters(gamma=HP.gamma, retrace_lambda=HP.retrace_lambda)


# --- values ---


def test_values_on_the_signed_hyperbolic_scale():
    x = np.concatenate([[0.0], np.geomspace(1e-3, 5e4, 60)])
    x = np.concatenate([-x[::-1], x])
    np.testing.assert_allclose(values.signed_hyperbolic(jnp.asarray(x)), h(x), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(values.signed_parabolic(jnp.asarray(h(x))), x, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values.signed_log(jnp.asarray(x)), slog(x), rtol=1e-5)


def test_two_hot_tells_a_number_by_its_neighbours():
    x = np.array([-9.0, -3.0, -2.75, 0.0, 0.3, 2.999, 3.0, 4.0], np.float32)
    p = np.asarray(values.two_hot(jnp.asarray(x), 7, 3.0))
    np.testing.assert_allclose(p.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(p @ np.arange(-3, 4), np.clip(x, -3, 3), atol=1e-5)
    assert ((p > 1e-6).sum(-1) <= 2).all() and p[2, 0] == pytest.approx(0.75)
    logits = jnp.log(jnp.asarray(p) + 1e-12)
    inside = slice(1, 7)
    np.testing.assert_allclose(
        values.expected_value(logits, 3.0)[inside], h_inverse(x[inside]), rtol=1e-3, atol=1e-4
    )


def test_retrace_in_closed_form():
    r = np.random.default_rng(3)
    reward, q, v, log_ratio = (jnp.asarray(r.normal(size=(5, 2)), jnp.float32) for _ in range(4))
    none = jnp.zeros((5, 2), bool)
    one_step = retrace(reward, q, v, log_ratio, none, none, 0.9, 0.0)
    np.testing.assert_allclose(one_step, reward + 0.9 * v, rtol=1e-5)
    # On policy, with values that agree and lambda 1, only rewards and the last bootstrap are left.
    agree = jnp.concatenate([q[1:], v[-1:]])
    whole = retrace(reward, q, agree, jnp.zeros_like(q), none, none, 0.9, 1.0)
    want = sum(0.9**i * reward[i] for i in range(5)) + 0.9**5 * v[-1]
    np.testing.assert_allclose(whole[0], want, rtol=1e-5)
    ended = none.at[2].set(True)
    cut = retrace(reward, q, v, log_ratio, none, ended, 0.9, 0.8)
    np.testing.assert_allclose(cut[2], reward[2] + 0.9 * v[2], rtol=1e-5)
    over = retrace(reward, q, v, log_ratio, ended, ended, 0.9, 0.8)
    np.testing.assert_allclose(over[2], reward[2], rtol=1e-6)


def test_decaying_moments_are_unbiased_and_safe():
    r = np.random.default_rng(4)
    batches = [2.0 + 3.0 * r.normal(size=(4, 5)) for _ in range(3)]
    moments = normalisation.DecayingMoments.none()
    first = moments.merge(jnp.asarray(batches[0], jnp.float32))
    np.testing.assert_allclose(
        (first.mean, first.deviation), (batches[0].mean(), batches[0].std()), rtol=1e-4
    )
    weights = np.array([0.99**2, 0.99, 1.0])
    for batch in batches:
        moments = moments.merge(jnp.asarray(batch, jnp.float32))
    mean = np.average([b.mean() for b in batches], weights=weights)
    square = np.average([(b**2).mean() for b in batches], weights=weights)
    np.testing.assert_allclose(moments.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(moments.deviation, np.sqrt(square - mean**2), rtol=1e-4)
    slope = jax.grad(lambda x: normalisation.DecayingMoments.none().merge(x).deviation)(jnp.zeros(3))
    assert np.isfinite(slope).all()


# --- the networks ---


def test_actions_are_treated_alike():
    net = PerAction((3, 2))
    x = jnp.asarray(np.random.default_rng(5).normal(size=(2, 3, A, 4)), jnp.float32)
    params = net.init(key(0), x)
    flat = {
        f"net.{layer}.{name}": np.asarray(leaf, np.float64)
        for layer, leaves in params["params"].items()
        for name, leaf in leaves.items()
    }
    out: Any = net.apply(params, x)
    np.testing.assert_allclose(
        out[1, 2], slow_actions(flat, "net", np.asarray(x[1, 2]), 2), rtol=1e-4, atol=1e-6
    )
    order = jnp.asarray([2, 0, 3, 1])
    np.testing.assert_allclose(net.apply(params, x[:, :, order]), out[:, :, order], rtol=1e-5, atol=1e-6)


def test_nothing_leaks_backwards_over_the_end_of_an_episode():
    core = Core(3, 4)
    r = np.random.default_rng(6)
    x = jnp.asarray(r.normal(size=(8, 2, 3)), jnp.float32)
    none = jnp.zeros((8, 2), bool)
    params = core.init(key(1), x, none, method=Core.backwards)
    run = lambda x, ended: core.apply(params, x, ended, method=Core.backwards)
    later, cut = x.at[5:].add(1.0), none.at[4].set(True)
    np.testing.assert_array_equal(run(x, cut)[:5], run(later, cut)[:5])
    assert np.abs(run(x, cut)[5:] - run(later, cut)[5:]).min() > 1e-5
    assert np.abs(run(x, none)[:5] - run(later, none)[:5]).max() > 1e-4


def test_sizes_are_those_published():
    count = lambda config: sum(x.size for x in jax.eval_shape(disco(config).init, jax.random.key(0)).values())
    assert count(DiscoConfig.published()) == 754_778
    assert count(DiscoConfig.published(time=TIME)) == 754_778 + 2 * 256
    assert count(DiscoConfig()) < 15_000


def test_the_clock_starts_without_a_say():
    """Bit for bit; and it has one once its kernel is not zero."""
    config = dataclasses.replace(SMALL, time=TIME)
    eta, batch, state = random_eta(SMALL), some_batch(SMALL), some_state(SMALL)
    blind, aware = jax.jit(rule_of(SMALL).targets), jax.jit(rule_of(config).targets)
    want = blind(eta, state, batch, HP_TREE, CLOCK)
    got = aware(disco_with_time(eta, TIME), state, batch, HP_TREE, CLOCK)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    np.testing.assert_array_equal(disco(config).init(key(0))["gate_time"], 0.0)
    assert (disco(SMALL).name, disco(config).name) == ("disco", "ta-disco")
    told = {**eta, "gate_time": jnp.ones((TIME.size, SMALL.width))}
    early, late = (aware(told, state, batch, HP_TREE, Clock.at(n, 1000.0))[0].policy for n in (0.0, 900.0))
    assert np.abs(early - late).max() > 1e-3


# --- the published file ---

# Names and shapes of the file that the authors publish; with biases of the last axis.
LIFE = "lstm/~/meta_lstm/~unroll/"
READER = {
    "mlp/~/linear_0": (600, 16),
    "mlp/~/linear_1": (16, 1),
    "mlp_1/~/linear_0": (600, 16),
    "mlp_1/~/linear_1": (16, 1),
    "sequential/conv1_d": (1, 18, 16),
    "sequential/conv1_d_1": (1, 32, 2),
}
KERNELS = {
    "lstm/linear": (128, 256),
    "lstm/linear_1": (256, 1),
    "lstm/linear_2": (256, 600),
    "lstm/linear_3": (256, 600),
    "lstm/linear_4": (16, 1),
    "lstm/lstm/linear": (283, 1024),
    "lstm/sequential_1/conv1_d": (1, 516, 16),
    f"{LIFE}lstm/linear": (144, 512),
    f"{LIFE}mlp_2/~/linear_0": (29, 16),
    **{prefix + name: shape for prefix in ("lstm/", LIFE) for name, shape in READER.items()},
}


def synthetic() -> dict[str, np.ndarray]:
    r = np.random.default_rng(8)
    draw = lambda shape: 0.1 * r.standard_normal(shape, np.float32)
    kernels = {f"{name}/w": draw(shape) for name, shape in KERNELS.items()}
    return kernels | {f"{name}/b": draw(shape[-1:]) for name, shape in KERNELS.items()}


def test_a_published_file_becomes_a_stored_objective(tmp_path: Any):
    arrays = synthetic()
    assert sum(x.size for x in arrays.values()) == 754_778
    np.savez(tmp_path / "weights.npz", **arrays)
    eta = load_disco_weights(tmp_path / "weights.npz")
    assert len(set(published.ARRAYS.values())) == len(eta) == len(arrays)
    for ours, theirs in published.ARRAYS.items():
        np.testing.assert_array_equal(eta[ours].ravel(), arrays[theirs].ravel())
    assert eta["reader.action.layer_0.kernel"].shape == (18, 16)
    convert(tmp_path / "weights.npz", tmp_path / "mine.npz", TimeFeatures(("fraction",)))
    objective = find_objective(str(tmp_path / "mine.npz"))
    assert isinstance(objective, RuleObjective)
    assert objective.name == "ta-disco" and objective.rule.config.predictions == 600
    back = objective.init(key(0))
    for name, leaf in eta.items():
        np.testing.assert_array_equal(back[name], leaf)
    np.testing.assert_array_equal(back["gate_time"], 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"lstm/linear_3/w": np.zeros((256, 30), np.float32)},
            r"'lstm/linear_3/w' has shape \(256, 30\), expected \(256, 600\)",
        ),
        ({"lstm/linear_4/w": None}, r"'lstm/linear_4/w', of shape \(16, 1\), is missing"),
        ({"lstm/linear_9/w": np.zeros(3, np.float32)}, "'lstm/linear_9/w' is not one of them: did you mean"),
        (
            {"lstm/linear_4/b": np.zeros(1, np.float64)},
            "'lstm/linear_4/b' has dtype float64, expected float32",
        ),
        (
            {"lstm/linear_4/b": np.full(1, np.nan, np.float32)},
            "'lstm/linear_4/b' has values that are not finite",
        ),
    ],
)
def test_files_of_other_content_are_refused(change: Any, message: str, tmp_path: Any):
    arrays = {name: array for name, array in (synthetic() | change).items() if array is not None}
    np.savez(tmp_path / "weights.npz", **arrays)
    with pytest.raises(ValueError, match=f"^not the weights of a Disco rule of these sizes: array {message}"):
        load_disco_weights(tmp_path / "weights.npz")


def test_files_that_cannot_be_read_are_refused(tmp_path: Any):
    with pytest.raises(ValueError, match="there is no file"):
        load_disco_weights(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(ValueError, match="cannot be read as an .npz archive"):
        load_disco_weights(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match="cannot be read as an .npz archive"):
        load_disco_weights(tmp_path / "one.npy")


def test_adam_without_clipping_has_a_derivative():
    gradient = jnp.asarray([0.0, 1e-12, 1e-3, -2.0])
    start = init_optimiser("adam", gradient)
    slope = jax.grad(lambda g: clipped_step("adam", start, g, 0.01, None, 1e-8)[0].sum())(gradient)
    assert np.isfinite(slope).all()


# --- agents ---

AGENT = DiscoAgentConfig(epochs=2, model=8, head=8, network=NetworkConfig(hidden=(16,), activation="relu"))
ENVS, LENGTH = 8, 6


@pytest.fixture(scope="module")
def trained() -> Any:
    """An agent of the probe that pays 1 at every step, under a random rule."""
    env = probes.probe_env()
    hp = DiscoHyperparameters(learning_rate=0.01)
    learner = disco_agent(env, ENVS, LENGTH, AGENT, hp, disco(SMALL))
    chunk = make_chunk(learner, vectorize(env, ENVS, resets_from_name("full")), LENGTH)
    hp = jax.tree.map(jnp.float32, hp)
    init, run = jax.jit(chunk.init), jax.jit(chunk.run)
    eta, probe = random_eta(SMALL), jax.tree.map(jnp.float32, probes.PROBES["constant"])
    start = init(key(0), hp, probe)
    step = lambda state, updates: run(state, hp, eta, probe, jnp.float32(200), jnp.int32(updates))
    return SimpleNamespace(learner=learner, start=start, step=step)


@pytest.mark.core
def test_an_agent_learns_the_value_that_is_known(trained: Any):
    before, _ = trained.step(trained.start, 198)
    state, metrics = trained.step(before, 2)
    assert int(state.diverged) == -1
    assert all(np.isfinite(x) for name, x in metrics.items() if name != "episode_return")
    assert float(metrics["value"]) == pytest.approx(1.0, abs=0.05)


def test_an_update_moves_network_target_and_memory_as_it_should(trained: Any):
    one, metrics = trained.step(trained.start, 1)
    old, new = trained.start.learner, one.learner
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), old.params["params"], new.params["params"])
    assert max(jax.tree.leaves(moved)) <= 0.02001  # two epochs, steps of at most the learning rate
    for name, leaves in moved.items():  # every episode of this probe ends at once, so no policy follows
        assert (max(jax.tree.leaves(leaves)) == 0.0) == ("next_policy" in name), name
    assert int(new.optimiser.count) == 2
    np.testing.assert_allclose(new.rule.advantages.unseen, 0.99**2, rtol=1e-6)
    assert np.abs(new.rule.lifetime.cell).min() > 0.0
    # The target follows the network as it was before each step, so after two it lags behind.
    kept, ahead = (
        jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).sum(), new.target, x))
        for x in (old.params, new.params)
    )
    assert 0.0 < sum(kept) < 0.2 * sum(ahead)
    assert float(metrics["learning_rate"]) == pytest.approx(0.01)


@pytest.mark.slow  # compiles second derivatives of whole updates
def test_a_meta_gradient_reaches_every_block_and_is_finite_where_nothing_happens(trained: Any):
    """Two updates of two epochs from a rollout: the rule has remembered, and its memory has been heard."""
    config = DiscoHyperparameters()
    learner, state = trained.learner, trained.start.learner
    batch = some_batch(SMALL)
    r = np.random.default_rng(9)
    obs, next_obs = (jnp.asarray(r.normal(size=(T, N, 2)), jnp.float32) for _ in range(2))
    action, actor = batch.trajectory.action % 2, Categorical(jnp.zeros((T, N, 2)))
    policy = PolicyOutput(actor.log_prob(action), None, actor)
    t = dataclasses.replace(batch.trajectory, obs=obs, next_obs=next_obs, action=action, policy=policy)

    @jax.jit
    def slope(eta: Any, state: Any, t: Trajectory) -> Any:
        def outcome(eta: Any) -> Any:
            one = lambda state, _: (learner.update(key(0), state, t, config, eta, CLOCK)[0], None)
            after, _ = jax.lax.scan(one, state, None, 2)
            logits = learner.act(after.params, obs[0], t.first[0], (), key(0))[2].distribution.logits
            return (logits * jnp.asarray([1.0, -1.0])).sum()

        return jax.grad(outcome)(eta)

    for name, leaf in slope(random_eta(SMALL), state, t).items():
        assert np.isfinite(leaf).all(), name
        # A number that is added for every action changes no softmax.
        assert (np.abs(leaf).max() > 0.0) == (name != "policy.bias"), name
    still = dataclasses.replace(
        t, reward=jnp.zeros((T, N)), obs=jnp.zeros_like(obs), next_obs=jnp.zeros_like(obs)
    )
    nothing = jax.tree.map(jnp.zeros_like, random_eta(SMALL))
    empty = dataclasses.replace(
        state,
        params=jax.tree.map(jnp.zeros_like, state.params),
        target=jax.tree.map(jnp.zeros_like, state.params),
    )
    for name, leaf in slope(nothing, empty, still).items():
        assert np.isfinite(leaf).all(), name


def test_what_does_not_fit_is_refused():
    env, continuous = probes.probe_env(), probes.probe_env(continuous=True)
    with pytest.raises(ValueError, match="action_space is Box.*; disco agents take Discrete actions only"):
        disco_agent(continuous, 4, 4, objective=disco(SMALL))
    for objective, named in ((None, "none"), (lpg(), "'lpg'")):
        with pytest.raises(ValueError, match=f"objective is {named}; disco agents need an update rule"):
            disco_agent(env, 4, 4, objective=objective)
    with pytest.raises(ValueError, match="objective is 'disco', an update rule that only agents of"):
        ppo(env, 4, 4, objective=disco(SMALL))
    with pytest.raises(ValueError, match="network.memory is 'gru'; disco agents have none"):
        DiscoAgentConfig(network=NetworkConfig(memory="gru"))
    with pytest.raises(ValueError, match="network.shared is True; disco agents have no critic"):
        DiscoAgentConfig(network=NetworkConfig(shared=True))
    with pytest.raises(ValueError, match="network.kind is 'mine'; disco agents have a network of their own"):
        DiscoAgentConfig(network=NetworkConfig(kind="mine"))
    with pytest.raises(ValueError, match="learner.head is 0; it must be a whole number of at least 1"):
        disco_agent(env, 4, 4, DiscoAgentConfig(head=0), objective=disco(SMALL))
    with pytest.raises(ValueError, match="hp.target_decay is 1.5; it must be a number between 0 and 1"):
        disco_agent(env, 4, 4, hp=DiscoHyperparameters(target_decay=1.5), objective=disco(SMALL))
    with pytest.raises(ValueError, match="network.encoder is 'tabular'; disco agents have no tables"):
        DiscoAgentConfig(network=NetworkConfig(encoder="tabular"))
    with pytest.raises(ValueError, match="encoder is 'minatar' but observations have shape"):
        disco_agent(
            env, 4, 4, DiscoAgentConfig(network=NetworkConfig(encoder="minatar")), objective=disco(SMALL)
        )
    for changes, message in (
        ({"predictions": 1}, "predictions is 1; it must be a whole number of at least 2"),
        ({"width": 2.5}, "width is 2.5"),
        ({"limit": 0.0}, "limit is 0.0; it must be a number above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            DiscoConfig(**changes)


def test_a_rule_is_meta_trained(tmp_path: Any):
    config = MetaTrainConfig.preset(
        "ta-disco",
        "Catch-bsuite",
        generations=1,
        num_envs=2,
        rollout_length=4,
        settings={"predictions": 5, "bins": 7, "width": 6, "lifetime_width": 4, "hidden": 3},
        evolution={"population": 2},
        horizons={"low": 1, "high": 2},
        fitness={"episodes": 2},
        learner=AGENT,
        tests=2,
    )
    result = meta_train(config, tmp_path / "run", quiet=True)
    assert np.isfinite(result.rows[-1]["fitness"])
    stored = load_objective(tmp_path / "run")
    assert stored.kind == "disco" and stored.settings.time.kinds == ("fraction", "log_horizon")
    assert make("Catch-bsuite").action_space.n == 3
    objective = stored.objective()
    assert isinstance(objective, RuleObjective) and objective.rule.config.predictions == 5
