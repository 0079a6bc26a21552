"""Learned oracles: antisymmetric from the start; a score cannot tell circles, embeddings can."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.preferences import games
from jaxrl_evolve.preferences.check import check_oracle
from jaxrl_evolve.preferences.learned import as_oracle, bradley_terry, fit, gpm, hrc
from jaxrl_evolve.preferences.minimax import minimax_winner

GAME = games.mixed()
N = len(GAME.advantage)


def learned(model, seed=0, pairs=8_000):
    """Probabilities ``[n, n]`` learned from hard labels of uniform pairs of the mixed game."""
    rng, true = np.random.default_rng(seed), (1 + GAME.advantage) / 2
    i, j = rng.integers(0, N, (2, pairs))
    label = jnp.asarray(rng.uniform(size=pairs) < true[i, j], jnp.float32)
    one_hot = jnp.eye(N)
    go = jax.jit(lambda key: fit(model, key, one_hot[i], one_hot[j], label, steps=1_500, learning_rate=0.03))
    found = go(jax.random.key(seed))
    assert found.losses[-100:].mean() < found.losses[:20].mean()
    oracle = as_oracle(model, found.params, lambda item: one_hot[item])
    item = jnp.arange(N)
    return np.asarray(jax.vmap(lambda a: jax.vmap(lambda b: oracle.prob(a, b, None))(item))(item), np.float64)


@pytest.mark.parametrize(
    ("model", "tells"), [(bradley_terry(N), False), (gpm(N, planes=4), True), (hrc(N, planes=3), True)]
)
def test_the_mixed_game_is_told_by_embeddings_and_not_by_a_score(model, tells):
    found = learned(model)
    error = np.abs(found - (1 + GAME.advantage) / 2).max()
    winner = minimax_winner(found - found.T).policy
    exploited = (GAME.advantage @ winner).max()
    if tells:
        assert error < 0.13 and exploited < 0.06
    else:
        assert error > 0.3 and exploited > 0.15 and winner.max() > 0.99  # a score has one best option


@pytest.mark.parametrize("make", ["bradley_terry", "gpm", "hrc"])
def test_whatever_is_learned_is_an_oracle(make):
    models: dict[str, Any] = {"bradley_terry": bradley_terry, "gpm": gpm, "hrc": hrc}
    model = models[make](4, hidden=(8,))
    items = jax.random.normal(jax.random.key(1), (30, 4))
    check_oracle(as_oracle(model, model.init(jax.random.key(0)), lambda item: item, temperature=0.3), items)


def test_a_temperature_draws_towards_a_half():
    model, items = gpm(4), jax.random.normal(jax.random.key(1), (2, 4))
    params = model.init(jax.random.key(0))
    a, b = items
    sure, unsure = (as_oracle(model, params, lambda x: x, t).prob(a, b, None) for t in (0.5, 5.0))
    assert abs(float(unsure) - 0.5) < abs(float(sure) - 0.5)
    assert float(sure) == pytest.approx(float(jax.nn.sigmoid(model.logit(params, a, b) / 0.5)), abs=1e-6)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: gpm(4, planes=0), "planes is 0"),
        (lambda: bradley_terry(0), "features is 0"),
        (lambda: fit(gpm(2), jax.random.key(0), jnp.ones((3, 2)), jnp.ones((3, 2)), jnp.ones(2)), "label 2"),
        (lambda: as_oracle(gpm(2), (), lambda x: x, 0.0), "temperature is 0.0"),
    ],
)
def test_what_cannot_be_learned(call, told):
    with pytest.raises(ValueError, match=told):
        call()
