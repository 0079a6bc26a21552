"""Convolutions and pooling that are fast on a CPU, too, inside the loop of a training.

XLA:CPU has no fast kernel for the gradient of a convolution with respect to its input when it stands in a loop; that of a small board then
takes longer than all the rest of a gradient step. A product of matrices over patches is as fast there as products are; elsewhere the
convolution is left to XLA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Convolution(nn.Module):
    """Images ``[B, H, W, C]`` to ``[B, h, w, features]``; parameters as flax's ``Conv`` has them.

    Attributes:
        features: channels of the output.
        size: of the kernel, in both directions.
        stride: in both directions.
        padding: ``"VALID"`` or ``"SAME"``, as XLA means them.
        kernel_init: of the kernel ``[size, size, C, features]``.
    """

    features: int
    size: int
    stride: int = 1
    padding: str = "VALID"
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w F"]:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        if jax.default_backend() != "cpu":
            strides = (self.stride, self.stride)
            layout = ("NHWC", "HWIO", "NHWC")
            return (
                jax.lax.conv_general_dilated(x, kernel, strides, self.padding, dimension_numbers=layout)
                + bias
            )
        patches = jnp.concatenate(list(_shifted(x, self.size, self.stride, self.padding, 0.0)), -1)
        return patches @ kernel.reshape((-1, self.features)) + bias


def max_pool(x: Float[Array, "B H W C"], size: int, stride: int) -> Float[Array, "B h w C"]:
    """The highest of every ``size`` x ``size`` pixels, ``stride`` apart, padded as ``"SAME"`` means it."""
    parts = _shifted(x, size, stride, "SAME", -jnp.inf)
    highest = next(parts)
    for part in parts:
        highest = jnp.maximum(highest, part)
    return highest


def _shifted(x: Array, size: int, stride: int, padding: str, value: float) -> Iterator[Array]:
    """What each place of a kernel sees, row by row of the kernel, ``[B, h, w, C]`` each."""
    pads = jax.lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)
    high, wide = ((extent - size) // stride + 1 for extent in x.shape[1:3])
    for i in range(size):
        for j in range(size):
            end = (x.shape[0], i + stride * (high - 1) + 1, j + stride * (wide - 1) + 1, x.shape[-1])
            yield jax.lax.slice(x, (0, i, j, 0), end, (1, stride, stride, 1))
