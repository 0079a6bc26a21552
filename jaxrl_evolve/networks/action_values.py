"""The network of agents that learn action values: features, a head, and a model that looks ahead in features.

After Rainbow (Hessel et al. 2018) for the head and SPR (Schwarzer et al. 2021, arXiv 2007.05929) for the rest, in both layouts of
SPR's authors. The projection that predictions are compared in has no parameters of its own: it is the head's first layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxrl_envs.fusion import computed_once
from jaxrl_envs.spaces import Discrete, Space
from jaxrl_evolve.networks.action_values_config import ActionValuesConfig
from jaxrl_evolve.networks.convolution import Convolution, max_pool
from jaxrl_evolve.networks.orthogonal import orthogonal
from jaxrl_evolve.networks.towers import ACTIVATIONS

CONVOLUTIONS = {"minatar": ((16, 3, 1),), "atari": ((32, 8, 4), (64, 4, 2), (64, 3, 1))}
"""Channels, size and stride of each layer, by encoder."""
IMPALA = (16, 32, 32)
"""Channels of the stages of the residual encoder (Espeholt et al. 2018)."""
_SIGMA = 0.5


def scaled(space: Space, obs: Array) -> Array:
    """Observations as networks read them, float32: whole numbers of states as one-hot vectors, bytes in [0, 1]."""
    if isinstance(space, Discrete):
        return jax.nn.one_hot(obs, space.n, dtype=jnp.float32)
    x = obs.astype(jnp.float32)
    return x / np.maximum(space.bound("high"), 1.0) if space.dtype == np.uint8 else x


def renormalised(x: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Each of the batch brought to [0, 1] by its own least and highest feature."""
    axes = tuple(range(1, x.ndim))
    low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
    return (x - low) / (high - low + 1e-5)


def _uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Between -1 and 1 over the root of the inputs."""
    bound = 1.0 / math.sqrt(math.prod(shape[:-1]))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _init(config: ActionValuesConfig) -> Callable[..., Array]:
    """Of the kernels of hidden layers."""
    choices = {"faithful": _uniform, "jax-port": nn.initializers.xavier_uniform()}
    return choices.get(config.layout, orthogonal(math.sqrt(2)))


def _normalised(config: ActionValuesConfig, x: Array) -> Array:
    """By a layer of its own, where the network has them; to be called within a module."""
    return nn.LayerNorm()(x) if config.layer_norm else x


class NoisyDense(nn.Module):
    """A dense layer with factorised noise in its weights (Fortunato et al. 2018), the same for the whole batch.

    Attributes:
        features: of its output.
        noisy: whether there is noise at all; if not it is a dense layer.
        kernel_init: of the means.
    """

    features: int
    noisy: bool
    kernel_init: Callable[..., Array]

    @nn.compact
    def __call__(self, x: Array, noise: Array | None) -> Array:
        width = x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (width, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        if not self.noisy:
            return x @ kernel + bias
        spread = nn.initializers.constant(_SIGMA / math.sqrt(width))
        sigma = self.param("sigma_kernel", spread, kernel.shape, jnp.float32)
        spread = nn.initializers.constant(_SIGMA / math.sqrt(self.features))
        sigma_bias = self.param("sigma_bias", spread, bias.shape, jnp.float32)
        if noise is None:
            return x @ kernel + bias
        into, out = noise[:width], noise[width:]
        # The same as with a kernel of ``kernel + sigma * into * out``, which would have to be made for every draw.
        return x @ kernel + bias + ((x * into) @ sigma + sigma_bias) * out


class Encoder(nn.Module):
    """Scaled observations to features, ``[B, h, w, channels]`` of images and ``[B, D]`` of others."""

    config: ActionValuesConfig

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        c, init = self.config, _init(self.config)
        if c.encoder == "impala":
            for channels in IMPALA:
                x = _Stage(c, channels * c.width, init)(x)
            x = nn.relu(_normalised(c, x))
        padding = "SAME" if c.layout == "jax-port" else "VALID"
        for i, (channels, size, stride) in enumerate(CONVOLUTIONS.get(c.encoder, ())):
            name = f"Conv_{i}"
            x = Convolution(channels * c.width, size, stride, padding, init, name=name)(x)
            x = nn.Dropout(c.dropout, deterministic=not train)(nn.relu(_normalised(c, x)))
        if c.encoder == "flat" or len(c.hidden) > 1:
            x = x.reshape((x.shape[0], -1))
        for width in c.hidden[:-1]:
            x = ACTIVATIONS[c.activation](_normalised(c, nn.Dense(width, kernel_init=init)(x)))
        return x


class _Stage(nn.Module):
    """Convolution, half the size, two residual blocks."""

    config: ActionValuesConfig
    channels: int
    kernel_init: Callable[..., Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        conv = lambda: Convolution(self.channels, 3, 1, "SAME", self.kernel_init)
        active = lambda x: nn.relu(_normalised(self.config, x))
        x = max_pool(conv()(x), 3, 2)
        for _ in range(2):
            x = x + conv()(active(conv()(active(x))))
        return x


class Transition(nn.Module):
    """Features one step later, if an action is taken: ``[B, h, w, c]`` and ``[B]`` to ``[B, h, w, c]``."""

    config: ActionValuesConfig
    actions: int

    @nn.compact
    def __call__(self, x: Array, action: Int[Array, " B"]) -> Array:
        channels, init = x.shape[-1], _init(self.config)
        planes = jax.nn.one_hot(action, self.actions, dtype=x.dtype)[:, None, None, :]
        planes = jnp.broadcast_to(planes, (*x.shape[:3], self.actions))
        x = jnp.concatenate([x, planes], -1)
        x = nn.relu(Convolution(channels, 3, 1, "SAME", init, name="Conv_0")(x))
        if self.config.layout == "faithful":
            x = _BatchNorm()(x)
        return nn.relu(Convolution(channels, 3, 1, "SAME", init, name="Conv_1")(x))


class _BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) by the batch's own statistics, which nobody keeps."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + bias


class ActionValues(nn.Module):
    """All of it; ``features`` are those of `encode`.

    Attributes:
        config: its shape.
        actions: how many there are.
        atoms: of the distribution of returns.
        predicts: whether there is a model that looks ahead.
    """

    config: ActionValuesConfig
    actions: int
    atoms: int
    predicts: bool

    def setup(self) -> None:
        c = self.config
        init = _init(c)
        hidden = lambda: NoisyDense(c.hidden[-1], c.noisy, init)
        last = orthogonal(1.0) if c.layout == "orthogonal" else init
        out = lambda features: NoisyDense(features, c.noisy, last)
        self.encoder = Encoder(c)
        self.normalise = nn.LayerNorm() if c.layer_norm else None
        self.normalise_value = nn.LayerNorm() if c.layer_norm and self.two_streams else None
        self.advantage_hidden, self.advantage = hidden(), out(self.actions * self.atoms)
        if c.dueling:
            self.value = out(self.atoms)
            if self.two_streams:
                self.value_hidden = hidden()
        if self.predicts:
            self.transition = Transition(c, self.actions)
            self.predictor = nn.Dense(self.projected, kernel_init=init)

    @property
    def two_streams(self) -> bool:
        return self.config.dueling and self.config.layout == "faithful"

    @property
    def projected(self) -> int:
        """Units of a projection."""
        return self.config.hidden[-1] * (2 if self.two_streams else 1)

    def encode(self, images: Float[Array, "B ..."], train: bool = False) -> Array:
        """Features of scaled observations."""
        x = self.encoder(images, train)
        return renormalised(x) if self.config.renormalise else x

    def values(self, features: Array, noise: bool) -> tuple[Float[Array, "B A atoms"], Float[Array, "B H"]]:
        """Logits of the returns' distribution (values, of one atom) of all actions, and the hidden layer's units."""
        c = self.config
        x = features.reshape((features.shape[0], -1))
        if self.two_streams:
            # Two streams pull at the encoder, so each by half in the mean of squares (Wang et al. 2016).
            x = x / math.sqrt(2) + jax.lax.stop_gradient(x - x / math.sqrt(2))
        active = lambda x, normal: ACTIVATIONS[c.activation](x if normal is None else normal(x))
        draws = self._noise(x.shape[-1]) if noise and c.noisy else itertools.repeat(None)
        hidden = active(self.advantage_hidden(x, next(draws)), self.normalise)
        out = self.advantage(hidden, next(draws)).reshape((-1, self.actions, self.atoms))
        if not c.dueling:
            return out, hidden
        other = hidden
        if self.two_streams:
            other = active(self.value_hidden(x, next(draws)), self.normalise_value)
        value = self.value(other, next(draws))[:, None, :]
        units = jnp.concatenate([other, hidden], -1) if self.two_streams else hidden
        return value + out - out.mean(1, keepdims=True), units

    def _noise(self, width: int) -> Iterator[Array | None]:
        """Of the layers of `values`, in their order. In one draw: eight small ones take longer than the products that they go into."""
        hidden, actions = self.config.hidden[-1], self.actions * self.atoms
        sizes = [width + hidden, hidden + actions]
        sizes += [width + hidden] if self.two_streams else []
        sizes += [hidden + self.atoms] if self.config.dueling else []
        drawn = jax.random.normal(self.make_rng("noise"), (sum(sizes),))
        # Else each product that reads it would make it anew, for every row of a batch.
        noise = computed_once(jnp.sign(drawn) * jnp.sqrt(jnp.abs(drawn)))
        return iter(jnp.split(noise, np.cumsum(sizes)[:-1]))

    def project(self, features: Array) -> Float[Array, "B P"]:
        """What predictions are compared in: the head's first layer, without noise, before its nonlinearity."""
        x = features.reshape((features.shape[0], -1))
        parts = [self.value_hidden(x, None)] if self.two_streams else []
        return jnp.concatenate([*parts, self.advantage_hidden(x, None)], -1)

    def ahead(self, features: Array, action: Int[Array, " B"]) -> Array:
        """Features one step later."""
        x = self.transition(features, action)
        return renormalised(x) if self.config.renormalise else x

    def predict(self, features: Array) -> Float[Array, "B P"]:
        """The projection that the features of what follows are expected to have."""
        return self.predictor(self.project(features))

    def everything(self, images: Array, action: Int[Array, " B"]) -> Any:
        """Calls all parts once, for their parameters."""
        x = self.encode(images)
        found = self.values(x, False)[0]
        return (found, self.predict(self.ahead(x, action))) if self.predicts else found


def check_action_values(config: ActionValuesConfig, space: Space) -> None:
    """Refuse observations that the encoder can't read, and settings that would change nothing.

    Raises:
        ValueError: with the shape that it needs, or the setting.
    """
    if config.dropout and config.encoder not in CONVOLUTIONS:
        raise ValueError(
            f"network.dropout is {config.dropout}, but the encoder {config.encoder!r} leaves out no units; it must be 0, or the encoder "
            f"{' or '.join(map(repr, CONVOLUTIONS))}"
        )
    padded = config.layout == "jax-port"
    smallest = {"flat": 0, "minatar": 3, "atari": 8 if padded else 36, "impala": 8}[config.encoder]
    shape = space.shape
    if smallest and (len(shape) != 3 or min(shape[:2]) < smallest):
        raise ValueError(
            f"encoder is {config.encoder!r} but observations have shape {shape}; it needs [height, width, "
            f"channels] of at least {smallest}x{smallest} (use 'flat'"
            + (", or the layout 'jax-port', which pads them)" if smallest == 36 and len(shape) == 3 else ")")
        )
