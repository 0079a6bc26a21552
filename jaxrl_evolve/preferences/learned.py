"""Oracles learned from labels: a score, skew-symmetric embeddings, or both.

``P(a > b) = sigmoid(logit)`` with a logit that changes its sign when ``a`` and ``b`` change places, so that whatever is learned
is an oracle. A score (Bradley-Terry) cannot tell circles. Embeddings (the general preference model, GPM) can tell anything,
scores by two numbers of their own; with a score beside them (HRC) they are left with the circles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.settings.checks import whole


class PreferenceModel(NamedTuple):
    """A family of oracles over features ``[F]``.

    Attributes:
        name: for messages.
        init: ``key -> params``.
        logit: ``(params, x_a [F], x_b [F]) -> scalar``, antisymmetric.
    """

    name: str
    init: Callable[[Array], Any]
    logit: Callable[[Any, Array, Array], Array]


class Fitted(NamedTuple):
    """What training left: the parameters and the mean loss ``[steps]`` of each batch, in nats."""

    params: Any
    losses: Array


def bradley_terry(features: int, hidden: Sequence[int] = ()) -> PreferenceModel:
    """A reward model (Bradley and Terry 1952): ``r(a) - r(b)``.

    Args:
        features: how many an item has.
        hidden: sizes of layers with tanh between; none for a linear score, which of one-hot features is a table.
    """
    sizes = _sizes(features, hidden, 1)
    score = lambda params, x: encoded(params, x)[0]
    return PreferenceModel(
        "bradley_terry",
        lambda key: encoder(key, sizes),
        lambda params, a, b: score(params, a) - score(params, b),
    )


def gpm(features: int, planes: int = 2, hidden: Sequence[int] = ()) -> PreferenceModel:
    """The general preference model (Zhang et al. 2024, arXiv 2410.02197): ``sum_m u_m(a) w_m(b) - w_m(a) u_m(b)``.

    Args:
        features: how many an item has.
        planes: how many pairs ``(u, w)`` an embedding has; each can tell one circle. Of ``n`` items ``n / 2`` suffice for any preference.
        hidden: as in `bradley_terry`.
    """
    sizes = _sizes(features, hidden, 2 * whole("planes", planes, 1))
    return PreferenceModel("gpm", lambda key: encoder(key, sizes), _skew)


def hrc(features: int, planes: int = 2, hidden: Sequence[int] = ()) -> PreferenceModel:
    """A score and circles beside each other, after the hybrid of arXiv 2605.17342: the sum of `bradley_terry` and `gpm`."""
    score, circles = bradley_terry(features, hidden), gpm(features, planes, hidden)

    def init(key: Array) -> Any:
        one, other = jax.random.split(key)
        return score.init(one), circles.init(other)

    def logit(params: Any, a: Array, b: Array) -> Array:
        return score.logit(params[0], a, b) + circles.logit(params[1], a, b)

    return PreferenceModel("hrc", init, logit)


def fit(
    model: PreferenceModel,
    key: Array,
    first: Array,
    second: Array,
    label: Array,
    steps: int = 1_000,
    batch: int = 256,
    learning_rate: float = 0.01,
    decay: float = 1e-4,
) -> Fitted:
    """Maximum likelihood by AdamW on batches that are drawn with replacement; jittable.

    Args:
        model: the family.
        key: of the start and of the batches.
        first: features of the first of each pair, ``[pairs, F]``.
        second: of the second.
        label: ``[pairs]``, 1 where the first was preferred, 1/2 for ties, or probabilities.
        steps: of the optimiser.
        batch: pairs in each.
        learning_rate: falls to 0 along a cosine.
        decay: of the weights; without it a score of who always wins has no end.

    Raises:
        ValueError: there are no pairs, or not as many labels.
    """
    if not len(label) or not len(first) == len(second) == len(label):
        raise ValueError(
            f"first has {len(first)}, second {len(second)} and label {len(label)}; there must be as many of each, and one at least"
        )
    optimiser = optax.adamw(optax.cosine_decay_schedule(learning_rate, steps), weight_decay=decay)
    starting, drawing = jax.random.split(key)
    params = model.init(starting)
    logits = jax.vmap(model.logit, in_axes=(None, 0, 0))

    def loss(params: Any, i: Array) -> Array:
        return optax.sigmoid_binary_cross_entropy(logits(params, first[i], second[i]), label[i]).mean()

    def one(carry: Any, key: Array) -> tuple[Any, Array]:
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params, jax.random.randint(key, (batch,), 0, len(label)))
        change, state = optimiser.update(gradient, state, params)
        return (optax.apply_updates(params, change), state), value

    (params, _), values = jax.lax.scan(
        one, (params, optimiser.init(params)), jax.random.split(drawing, steps)
    )
    return Fitted(params, values)


def as_oracle(
    model: PreferenceModel, params: Any, features: Callable[[Any], Array], temperature: float = 1.0
) -> Oracle:
    """What was learned as an oracle.

    Args:
        model: the family.
        params: as `fit` leaves them.
        features: of an item ``phi``, ``[F]``.
        temperature: by which logits are divided; fit it on pairs that were held out.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature!r}; it must be a number above 0")

    def prob(a: Any, b: Any, context: Any) -> Array:
        # By tanh, which is odd to the last bit.
        return 0.5 + 0.5 * jnp.tanh(model.logit(params, features(a), features(b)) / (2.0 * temperature))

    return Oracle(model.name, prob)


def _skew(params: Any, a: Array, b: Array) -> Array:
    (u_a, w_a), (u_b, w_b) = (jnp.split(encoded(params, x), 2) for x in (a, b))
    return (u_a * w_b).sum() - (w_a * u_b).sum()


def _sizes(features: int, hidden: Sequence[int], out: int) -> tuple[int, ...]:
    return (whole("features", features, 1), *(whole("hidden", size, 1) for size in hidden), out)


def encoder(key: Array, sizes: Sequence[int]) -> list[tuple[Array, Array]]:
    """Weights ``[rows, columns]`` and offsets of dense layers between so many features."""
    keys = jax.random.split(key, len(sizes) - 1)
    draw = lambda key, rows, columns: jax.random.normal(key, (rows, columns), jnp.float32) / rows**0.5
    return [
        (draw(k, rows, columns), jnp.zeros(columns, jnp.float32))
        for k, rows, columns in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def encoded(layers: list[tuple[Array, Array]], x: Array) -> Array:
    """Features ``[..., F]`` through the layers, with tanh between."""
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias
