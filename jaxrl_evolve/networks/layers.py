"""Layers of stacked towers, features first (``[tower, features, batch]``), and encoders of observations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve.networks.convolution import Convolution
from jaxrl_evolve.networks.gru import gates, unrolled
from jaxrl_evolve.networks.network import NetworkConfig
from jaxrl_evolve.networks.orthogonal import orthogonal


def _towers_orthogonal(scale: float) -> Callable[..., Array]:
    """Orthogonal initialiser of ``[towers, in, out]`` kernels, independent per tower."""
    single = orthogonal(scale)

    def init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jnp.stack([single(k, shape[1:], dtype) for k in jax.random.split(key, shape[0])])

    return init


class TowerDense(nn.Module):
    """A dense layer per tower, features first (or batch first, see `ActorCritic`).

    Input: ``[B, D]`` (read by every tower) or ``[towers, D, B]``. Output: ``[towers, features, B]``.
    """

    towers: int
    features: int
    scale: float
    batch_first: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        given, made = ("tbd", "tbf") if self.batch_first else ("tdb", "tfb")
        given = "bd" if x.ndim == 2 else given
        width = x.shape[given.index("d")]
        kernel = self.param(
            "kernel", _towers_orthogonal(self.scale), (self.towers, width, self.features), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (self.towers, self.features), jnp.float32)
        bias = bias[:, None, :] if self.batch_first else bias[:, :, None]
        return jnp.einsum(f"tdf,{given}->{made}", kernel, x) + bias


class Head(nn.Module):
    """A linear read-out of one tower, features first: ``[D, B]`` to ``[features, B]`` (or batch first)."""

    features: int
    scale: float
    batch_first: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[1 if self.batch_first else 0]
        kernel = self.param("kernel", orthogonal(self.scale), (width, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        if self.batch_first:
            return x @ kernel + bias
        # A transposed copy of this small matrix lets XLA use its faster product.
        return computed_once(kernel.T) @ x + bias[:, None]


class TowerGRU(nn.Module):
    """A gated recurrent unit per tower (Cho et al. 2014), with the reset gate after the product.

    One step: ``x [towers, B, D]``, ``memory [B, towers, M]`` to new memory of the same shape. With ``first [T, N]``, where episodes begin, ``B = T * N`` are the inputs of ``T`` steps, the memory is that
    before the first, and what comes back are those after each, ``[towers, B, M]``. Batch first, since products with the memories of a few environments are then several times cheaper.
    """

    towers: int
    size: int

    @nn.compact
    def __call__(self, x: Array, memory: Array, first: Array | None = None) -> Array:
        width, size = x.shape[2], self.size
        w = self.param("input_kernel", _towers_orthogonal(1.0), (self.towers, width, 3 * size), jnp.float32)
        u = self.param("memory_kernel", _towers_orthogonal(1.0), (self.towers, size, 3 * size), jnp.float32)
        b = self.param("bias", nn.initializers.zeros, (self.towers, 3 * size), jnp.float32)
        c = self.param("candidate_bias", nn.initializers.zeros, (self.towers, size), jnp.float32)
        from_input = jnp.einsum("tbd,tdf->tbf", x, w) + b[:, None]
        memory = jnp.swapaxes(memory, 0, 1)
        if first is None:
            return jnp.swapaxes(gates(from_input, memory, u, c)[0], 0, 1)
        by_time = jnp.moveaxis(from_input.reshape((self.towers, *first.shape, 3 * size)), 1, 0)
        memories = unrolled(u, c, by_time, first, memory)
        return jnp.moveaxis(memories, 0, 1).reshape((self.towers, -1, size))


class Encoder(nn.Module):
    """Observations ``[B, ...]`` to features ``[B, D]``, float32."""

    kind: str
    space: Space

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        if isinstance(self.space, Discrete):
            return jax.nn.one_hot(obs, self.space.n, dtype=jnp.float32)
        x = obs.astype(jnp.float32)
        if self.space.dtype == np.uint8:
            x = x / np.maximum(self.space.bound("high"), 1.0)  # 255 for frames, 1 for what is binary
        layers = {
            "flat": (),
            "minatar": ((16, 3, 1),),
            "atari": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
        }[self.kind]
        for i, (channels, size, stride) in enumerate(layers):
            init = orthogonal(math.sqrt(2))
            x = nn.relu(Convolution(channels, size, stride, kernel_init=init, name=f"Conv_{i}")(x))
        return x.reshape((x.shape[0], -1))


def check_encoder(config: NetworkConfig, space: Space) -> None:
    """Refuse observations that the encoder can't read.

    Raises:
        ValueError: with the shape that it needs.
    """
    if config.encoder == "flat":
        return
    shape = space.shape
    smallest = {"minatar": 3, "atari": 36}[config.encoder]
    if len(shape) != 3 or min(shape[:2]) < smallest:
        raise ValueError(
            f"encoder is {config.encoder!r} but observations have shape {shape}; it needs [height, width, "
            f"channels] of at least {smallest}x{smallest} (use 'flat')"
        )
