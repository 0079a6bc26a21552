"""Losses against worked numbers, first steps against each other, and KL gradients against enumeration."""

import itertools
import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import program

from jaxrl_evolve.preferences import losses
from jaxrl_evolve.preferences.kl import KLGradient, kl_loss

RATIO, WIN = np.float32([0.8, -1.4]), np.float32([0.8, 0.3])
sppo = program(losses.sppo, "baseline")
dpo, ipo = program(losses.dpo), program(losses.ipo)
nft_slope: Any = program(jax.grad(losses.nft), "balance")


def test_worked_numbers():
    close = lambda value, expected: np.testing.assert_allclose(value, expected, rtol=1e-5)
    close(sppo(RATIO, WIN, 1.0), 0.845)
    close(sppo(RATIO, WIN, 1000.0), 64481.3)
    # With the winner's and the loser's hard labels, summed over both, as TRL's `sppo_hard` with a beta of 0.001.
    close(2 * sppo(RATIO, np.float32([1.0, 0.0]), 1000.0), 497802.6)
    close(sppo(RATIO, WIN, 1.0, "pairwise"), 2.89 / 2)  # of the four ordered pairs two are an item and itself
    close(dpo(RATIO[0], RATIO[1], np.float32(1.0), 0.1), 0.589185)
    close(dpo(RATIO[0], RATIO[1], np.float32(0.9), 0.1), 0.611185)
    close(ipo(RATIO[0], RATIO[1], np.float32(1.0), 0.1), 7.84)
    close(ipo(RATIO[0] / 8, RATIO[1] / 10, np.float32(1.0), 0.1), 22.6576)


@pytest.mark.parametrize("baseline", ["half", "logz", "pairwise"])
def test_a_group_without_a_whole_completion_adds_nothing(baseline: losses.Baseline):
    """Regression: the logarithm of a partition function over nothing ended the run."""
    weight = np.float32([[0.5, 0.5], [0.0, 0.0]])
    both = jax.jit(
        jax.value_and_grad(
            lambda ratio: losses.sppo(ratio, jnp.stack([WIN, WIN]), 1.0, baseline, weight).sum()
        )
    )
    value, slope = both(np.stack([RATIO, RATIO]))
    np.testing.assert_allclose(value, sppo(RATIO, WIN, 1.0, baseline), rtol=1e-5)
    assert np.isfinite(slope).all() and not slope[1].any() and slope[0].all()


@pytest.mark.parametrize(("balance", "gradients"), [("wrong", (-0.7, 0.3)), ("spread", (-1.5275, 0.6547))])
def test_negative_aware_tuning_begins_as_group_advantages(balance, gradients):
    """Three of ten are correct: the first steps are those of GRPO, without and with division by the standard deviation."""
    found = [float(nft_slope(0.0, y, 0.3, balance=balance)) for y in (1.0, 0.0)]
    np.testing.assert_allclose(found, gradients, atol=5e-5)
    assert float(program(losses.nft)(0.5, 0.0, 0.3)) == 0.0  # the value is bounded, and the gradient goes on
    assert float(nft_slope(0.5, 0.0, 0.3)) > 0


@pytest.mark.parametrize(("rate", "counted"), [(0.0, 0.02), (0.1, 0.1), (0.9, 0.9), (1.0, 0.98)])
def test_negative_aware_tuning_counts_shares_from_a_fiftieth(rate, counted):
    found = [float(nft_slope(0.0, y, rate)) for y in (1.0, 0.0)]
    np.testing.assert_allclose(found, (-1.0, counted / (1 - counted)), rtol=1e-4)
    spread = float(nft_slope(0.0, 1.0, rate, balance="spread"))
    np.testing.assert_allclose(spread, -np.sqrt((1 - counted) / counted), rtol=1e-4)


def _tied(baseline: losses.Baseline, ratio: jax.Array) -> jax.Array:
    return losses.sppo(ratio, jnp.full(4, 0.5), 2.0, baseline)


def _weighed(log_mu: jax.Array, kind: KLGradient, log_p: jax.Array) -> jax.Array:
    return kl_loss(log_p, log_mu, kind)


def test_ties_push_nowhere():
    for loss in (losses.dpo, losses.ipo):
        gradient = program(jax.grad(lambda x, loss=loss: loss(x, -x, jnp.float32(0.5), 0.1)))
        assert float(gradient(0.0)) == 0
    baselines: tuple[losses.Baseline, ...] = ("half", "logz", "pairwise")
    for baseline in baselines:
        gradient = program(jax.grad(partial(_tied, baseline)))(np.zeros(4, np.float32))
        np.testing.assert_allclose(gradient, 0.0, atol=1e-7)


def test_revisions_and_drafts_rest_where_both_are_at_their_best():
    """By enumeration of a game of three options: the best revisions of each draft in closed form, the best drafts by the gradient of their objective."""
    advantage = np.float32([[0, 0.6, -0.9], [-0.6, 0, 0.8], [0.9, -0.8, 0]])
    probs, beta, mu = (1 + advantage) / 2, 0.3, np.float32([0.5, 0.3, 0.2])
    scores = np.log(mu)[:, None] + probs / beta  # [revision, draft]
    value = beta * np.log(np.exp(scores).sum(0))  # of each draft, to who revises
    revision = scores - value / beta - np.log(mu)[:, None]
    draft = -value / beta - np.log((mu * np.exp(-value / beta)).sum())

    def objective(logits):
        p = jax.nn.softmax(logits)
        return (p * (value + beta * (jnp.log(p) - np.log(mu)))).sum()

    np.testing.assert_allclose(jax.grad(objective)(draft + np.log(mu)), 0.0, atol=1e-6)
    i, j = np.asarray([(a, b) for a in range(3) for b in range(3)]).T
    both = lambda one, other: jnp.asarray(np.stack([one, other], 1))
    kept, revised = both(revision[i, i], revision[j, j]), both(revision[i, j], revision[j, i])
    drafts, probs = both(draft[i], draft[j]), jnp.asarray(probs)
    np.testing.assert_allclose(losses.srpo(drafts, kept, revised, probs[i, j], beta), 0.0, atol=1e-9)
    wrong = losses.srpo(drafts, kept, revised, probs[j, i], beta, 0.0)
    np.testing.assert_allclose(wrong, np.square(advantage[i, j] / beta), rtol=1e-4, atol=1e-6)
    still = jnp.zeros((1, 2))
    slope = jax.grad(lambda x: losses.srpo(x, 2 * x, -x, jnp.float32(0.5), beta).sum())(still)
    assert (np.asarray(slope) == 0).all()


def test_the_samples_partition_function_normalises_the_target():
    win = np.float32([0.1, 0.4, 0.7, 0.8])
    target = np.float32(3.0) * (win - np.float32(0.5))
    target = target - np.log(np.exp(target).mean())
    assert float(sppo(target, win, 3.0, "logz")) == pytest.approx(0, abs=1e-6)
    assert float(np.exp(target).mean()) == pytest.approx(1)


def test_first_steps_from_the_reference_are_one_gradient():
    logits, option = np.float32([0.3, -0.2, 0.9]), np.asarray([0, 1, 2, 2, 0])
    win = np.float32([0.25, 0.5, 0.75, 1.0, 0.0])

    @program
    def slopes(logits, win):
        log_prob = lambda x: jax.nn.log_softmax(x)[option]
        ratio = lambda x: log_prob(x) - log_prob(logits)
        of = lambda loss: jax.grad(loss)(logits)
        return (
            of(lambda x: losses.reinforce(log_prob(x), win - 0.5)),
            of(lambda x: losses.sppo(ratio(x), win, 0.7)),
            of(lambda x: losses.sppo(ratio(x), win, 0.7, "logz")),
            of(lambda x: losses.sppo(ratio(x), win, 0.7, "pairwise")),
            of(lambda x: losses.reinforce(log_prob(x), win - win.mean())),
        )

    spo, half, logz, pairwise, group = slopes(logits, win)
    assert float(np.abs(spo).max()) > 0.01
    np.testing.assert_allclose(half, 2 * 0.7 * spo, atol=1e-6)
    np.testing.assert_allclose(pairwise, 4 * 0.7 * spo, atol=1e-6)  # REBEL with win rates for rewards
    assert float(np.abs(logz - half).max()) > 1e-4  # its constant is no baseline of this batch
    np.testing.assert_allclose(group, spo, atol=1e-6)  # GRPO without the standard deviation


TOKENS, STEPS = 3, 4


def enumerated():
    """All sequences, and log-probabilities of their steps under tables of logits by step and token before."""
    sequences = np.array(list(itertools.product(range(TOKENS), repeat=STEPS)))
    before = np.concatenate([np.zeros((len(sequences), 1), int), sequences[:, :-1]], 1)
    step = np.arange(STEPS)
    return lambda logits: jax.nn.log_softmax(logits)[step, before, sequences]


def test_kl_gradients_against_enumeration():
    of = enumerated()
    with jax.enable_x64(True):
        shape = (2, STEPS, TOKENS, TOKENS)
        one, other = program(lambda key: jax.random.normal(key, shape, jnp.float64))(jax.random.key(0))
        log_mu = jax.jit(of)(other)

        def divergence(logits):
            log_p = of(logits)
            return (jnp.exp(log_p.sum(1)) * (log_p - log_mu).sum(1)).sum()

        def expected(loss):
            def slope(one):
                fixed = jnp.exp(of(one).sum(1))
                return jax.grad(lambda logits: (fixed * loss(of(logits))).sum())(one)

            return program(slope)(one).ravel()

        true = program(jax.grad(divergence))(one).ravel()
        kinds: tuple[KLGradient, ...] = ("reinforce", "reward_to_go", "half_square")
        for kind in kinds:
            found = expected(partial(_weighed, log_mu, kind))
            np.testing.assert_allclose(found, true, atol=1e-6)
        fixed = jax.lax.stop_gradient
        per_token = lambda log_p: (fixed(log_p - log_mu) * log_p).sum(1)
        k3 = lambda log_p: (jnp.exp(log_mu - log_p) - 1 - (log_mu - log_p)).sum(1)
        plain = lambda log_p: (log_p - log_mu).sum(1)
        cosine = lambda x: x @ true / np.linalg.norm(x) / np.linalg.norm(true)
        assert 0.3 < cosine(expected(per_token)) < 0.99 and 0.3 < cosine(expected(k3)) < 0.99
        np.testing.assert_allclose(expected(plain), 0.0, atol=1e-12)


@pytest.mark.skipif(os.environ.get("TYPE_CHECKS", "on") != "off", reason="annotations refuse it before")
def test_another_word_is_no_other_loss():
    values = jnp.zeros(3)
    with pytest.raises(ValueError, match="baseline is 'log_z'; it must be one of half, logz, pairwise"):
        losses.sppo(values, values, 1.0, "log_z")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="balance is 'right'; it must be one of none, wrong, spread"):
        losses.nft(values, values, 0.5, "right")  # pyright: ignore[reportArgumentType]
