"""The gradient that is written out is that of a loop over time, in first and second order."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.networks.gru import gates, unrolled

T, N, M = 7, 3, 4


def looped(kernel: Any, bias: Any, from_input: Any, first: Any, memory: Any) -> Any:
    """The same, by what a reader would write down."""
    found = []
    for t in range(T):
        memory = jnp.where(first[t][None, :, None], 0.0, memory)
        memory = gates(from_input[t], memory, kernel, bias)[0]
        found.append(memory)
    return jnp.stack(found)


def given(towers: int) -> tuple[Any, ...]:
    keys = jax.random.split(jax.random.key(0), 5)
    normal = lambda key, *shape: jax.random.normal(key, shape)
    first = (
        jnp.zeros((T, N), bool)
        .at[0, 0]
        .set(True)
        .at[3, 1]
        .set(True)
        .at[4, 1]
        .set(True)
        .at[T - 1, 2]
        .set(True)
    )
    return (
        *(0.7 * normal(keys[0], towers, M, 3 * M), normal(keys[1], towers, M)),
        *(normal(keys[2], T, towers, N, 3 * M), first, normal(keys[3], towers, N, M)),
    )


def close(a: Any, b: Any) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5), a, b)


def test_one_step_is_the_unit_written_down():
    kernel, bias, from_input, _, memory = (np.asarray(x, np.float64) for x in given(1))
    x, h, sigmoid = from_input[0, 0], memory[0], lambda x: 1 / (1 + np.exp(-x))
    product = h @ kernel[0]
    r, z = sigmoid(x[:, :M] + product[:, :M]), sigmoid(x[:, M : 2 * M] + product[:, M : 2 * M])
    c = np.tanh(x[:, 2 * M :] + r * (product[:, 2 * M :] + bias[0]))
    found = gates(*(jnp.asarray(x, jnp.float32) for x in (from_input[0], memory, kernel, bias)))
    close(found[0][0], (1 - z) * c + z * h)
    close(found[1:4], (r[None], z[None], c[None]))


@pytest.mark.parametrize("towers", [1, 2])
def test_values_and_gradients_are_those_of_a_loop(towers: int):
    kernel, bias, from_input, first, memory = given(towers)
    weight = jax.random.normal(jax.random.key(9), (T, towers, N, M))

    def loss(over: Any) -> Any:
        return lambda kernel, bias, from_input, memory: (
            over(kernel, bias, from_input, first, memory) * weight
        ).sum()

    numbers = kernel, bias, from_input, memory
    close(unrolled(kernel, bias, from_input, first, memory), looped(kernel, bias, from_input, first, memory))
    ours, theirs = (
        jax.jit(jax.grad(loss(over), argnums=(0, 1, 2, 3)))(*numbers) for over in (unrolled, looped)
    )
    close(ours, theirs)
    assert all(float(jnp.abs(x).max()) > 0.01 for x in ours)
    # What an episode begins with it has not from the one before.
    assert float(jnp.abs(ours[3][:, 0]).max()) == 0.0


def test_second_derivatives_are_those_of_a_loop():
    """Which gradients through gradient steps need."""
    kernel, bias, from_input, first, memory = given(1)

    def after_a_step(over: Any) -> Any:
        loss = lambda kernel, bias: (over(kernel, bias, from_input, first, memory) ** 2).sum()

        def outer(kernel: Any, bias: Any) -> Any:
            of_kernel, of_bias = jax.grad(loss, argnums=(0, 1))(kernel, bias)
            return loss(kernel - 0.1 * of_kernel, bias - 0.1 * of_bias)

        return jax.jit(jax.grad(outer, argnums=(0, 1)))

    close(after_a_step(unrolled)(kernel, bias), after_a_step(looped)(kernel, bias))


def test_runs_side_by_side_are_the_runs_alone():
    kernel, bias, from_input, first, memory = given(2)
    loss = lambda kernel: (unrolled(kernel, bias, from_input, first, memory) ** 2).sum()
    many = jnp.stack([kernel, 0.5 * kernel])
    together = jax.jit(jax.vmap(jax.value_and_grad(loss)))(many)
    for i in range(2):
        close(jax.tree.map(lambda x, i=i: x[i], together), jax.jit(jax.value_and_grad(loss))(many[i]))
