"""A gated recurrent unit over time, with its gradient written out.

By itself a scan's gradient adds to that of the weights at every step, and so reads and writes as many numbers as there are weights for each of them. Here the scan back in time carries the gradient of the
memory alone; those of the weights are one product over all steps, as the part of the gates that comes from the input is one product before.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrl_envs.fusion import computed_once


def gates(
    from_input: Float[Array, "towers N G"],
    memory: Float[Array, "towers N M"],
    kernel: Float[Array, "towers M G"],
    bias: Float[Array, "towers M"],
) -> tuple[Array, Array, Array, Array, Array]:
    """The unit of Cho et al. 2014, with the reset gate after the product (as cuDNN and flax have it).

    Args:
        from_input: what comes from the input, biases included; ``G = 3 M``: reset, update, candidate.
        memory: before the step.
        kernel: of the memory.
        bias: of the memory's part of the candidate.

    Returns:
        The memory after the step, and reset, update, candidate and the memory's part of it, ``[towers, N, M]`` each.
    """
    size = memory.shape[-1]
    from_memory = jnp.einsum("tnm,tmg->tng", memory, kernel)
    both = jax.nn.sigmoid(from_input[..., : 2 * size] + from_memory[..., : 2 * size])
    reset, update = both[..., :size], both[..., size:]
    part = from_memory[..., 2 * size :] + bias[:, None]
    candidate = jnp.tanh(from_input[..., 2 * size :] + reset * part)
    return (1.0 - update) * candidate + update * memory, reset, update, candidate, part


@jax.custom_vjp
def unrolled(
    kernel: Float[Array, "towers M G"],
    bias: Float[Array, "towers M"],
    from_input: Float[Array, "T towers N G"],
    first: Bool[Array, "T N"],
    memory: Float[Array, "towers N M"],
) -> Float[Array, "T towers N M"]:
    """The memories after each of ``T`` steps.

    Args:
        kernel: see `gates`.
        bias: see `gates`.
        from_input: see `gates`.
        first: where an episode begins, so that the memory of before is empty.
        memory: before the first step.
    """
    return _forward(kernel, bias, from_input, first, memory)[0]


def _cleared(first: Array, memory: Array) -> Array:
    return jnp.where(first[None, :, None], 0.0, memory)


def _forward(
    kernel: Array, bias: Array, from_input: Array, first: Array, memory: Array
) -> tuple[Array, tuple[Array, ...]]:
    def step(carry: Array, inputs: tuple[Array, Array]) -> tuple[Array, tuple[Array, ...]]:
        now, first_now = computed_once(inputs)
        after, *parts = gates(now, _cleared(first_now, carry), kernel, bias)
        return after, (after, *parts)

    _, (memories, *parts) = jax.lax.scan(step, memory, (from_input, first))
    return memories, (memories, *parts)


def _saved(
    kernel: Array, bias: Array, from_input: Array, first: Array, memory: Array
) -> tuple[Array, tuple[Array, ...]]:
    memories, kept = _forward(kernel, bias, from_input, first, memory)
    return memories, (kernel, first, memory, *kept)


def _backward(saved: tuple[Array, ...], given: Array) -> tuple[Array | None, ...]:
    kernel, first, memory, memories, reset, update, candidate, part = saved
    size = memory.shape[-1]
    before = jnp.concatenate([memory[None], memories[:-1]])
    before = jnp.where(first[:, None, :, None], 0.0, before)
    back = computed_once(jnp.swapaxes(kernel, 1, 2))

    def step(carry: Array, inputs: tuple[Array, ...]) -> tuple[Array, Array]:
        given_now, first_now, old, r, z, c, p = computed_once(inputs)
        of_memory = given_now + carry
        of_candidate = of_memory * (1.0 - z) * (1.0 - c * c)
        of_update = of_memory * (old - c) * z * (1.0 - z)
        of_reset = of_candidate * p * r * (1.0 - r)
        of_product = jnp.concatenate([of_reset, of_update, of_candidate * r], -1)
        of_old = of_memory * z + jnp.einsum("tng,tgm->tnm", of_product, back)
        return _cleared(first_now, of_old), jnp.concatenate([of_reset, of_update, of_candidate], -1)

    inputs = (given, first, before, reset, update, candidate, part)
    of_start, of_input = jax.lax.scan(step, jnp.zeros_like(memory), inputs, reverse=True)
    of_part = of_input[..., 2 * size :] * reset

    def over_steps(tower: int) -> Array:
        # One product of matrices, whose rows are all steps of all environments.
        rows = lambda x: x[:, tower].reshape((-1, x.shape[-1]))
        old = rows(before).T
        return jnp.concatenate([old @ rows(of_input[..., : 2 * size]), old @ rows(of_part)], -1)

    of_kernel = jnp.stack([over_steps(tower) for tower in range(kernel.shape[0])])
    return of_kernel, of_part.sum((0, 2)), of_input, None, of_start


unrolled.defvjp(_saved, _backward)
