"""The decoder's layers: pre-norm blocks of attention and a gated perceptron, as in Llama (Touvron et al. 2023, arXiv 2302.13971).

The parameters of all blocks are stacked on a leading axis, and blocks are a loop: compiling takes as long for one as for thirty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrl_evolve.networks.decoder.attention import (
    Attention,
    KeysAndValues,
    Rotation,
    Sight,
    kernels,
    rotation,
)
from jaxrl_evolve.networks.decoder_config import DecoderConfig

_EMBEDDED = (
    0.02  # standard deviation of embeddings: with normalised features the first logits are nearly equal
)


class RMSNorm(nn.Module):
    """Vectors divided by the root of their mean square, times a learned scale (Zhang and Sennrich 2019)."""

    epsilon: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon) * scale


class GatedMLP(nn.Module):
    """``down(silu(gate(x)) * up(x))`` (Shazeer 2020)."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, x: Array) -> Array:
        c = self.config
        dense = lambda size, fan_in, name: nn.Dense(
            size, use_bias=False, kernel_init=kernels(fan_in), name=name
        )
        hidden = nn.silu(dense(c.mlp, c.width, "gate")(x)) * dense(c.mlp, c.width, "up")(x)
        return dense(c.width, c.mlp * 2 * c.layers, "down")(hidden)


class Block(nn.Module):
    """One layer: what attention and perceptron add to ``x [B, S, width]``, and the keys and values of the new tokens."""

    config: DecoderConfig

    @nn.compact
    def __call__(
        self, x: Array, kept: KeysAndValues | None, sight: Sight, by: Rotation
    ) -> tuple[Array, KeysAndValues]:
        norm = lambda name: RMSNorm(self.config.epsilon, name=name)
        attended, new = Attention(self.config, name="attention")(norm("norm_attention")(x), kept, sight, by)
        x = x + attended
        return x + GatedMLP(self.config, name="mlp")(norm("norm_mlp")(x)), new


class Decoder(nn.Module):
    """Tokens to features, and features to logits and values.

    Attributes:
        config: its shape.
        vocabulary: tokens that there are.
    """

    config: DecoderConfig
    vocabulary: int

    def setup(self) -> None:
        c = self.config
        normal, shape = nn.initializers.normal(_EMBEDDED), (self.vocabulary, c.width)
        self.embedding = self.param("embedding", normal, shape, jnp.float32)
        if not c.tied:
            self.unembedding = self.param("unembedding", normal, shape, jnp.float32)
        self.blocks = nn.scan(
            Block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=cast(Any, (0, nn.broadcast, nn.broadcast)),
            length=c.layers,
        )(c)
        self.norm = RMSNorm(c.epsilon)
        self.critic = nn.Dense(1, kernel_init=kernels(c.width))

    def features(
        self, token: Int[Array, "B S"], kept: KeysAndValues | None, sight: Sight
    ) -> tuple[Float[Array, "B S D"], KeysAndValues]:
        """What logits and values are read off.

        Args:
            token: the new ones.
            kept: with axes ``[layers, B]`` in front, or None.
            sight: what they see.

        Returns:
            Features, and the new tokens' keys and values, with axes ``[layers, B]`` in front.
        """
        x, new = self.blocks(self.embedding[token], kept, sight, self._rotation(sight))
        return self.norm(x), new

    def layers(self) -> list[Any]:
        """The parameters of each block by themselves, for `features_of_layers`."""
        stacked = self.variables["params"]["blocks"]
        return [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(self.config.layers)]

    def features_of_layers(
        self, token: Int[Array, "B S"], layers: Sequence[Any], kept: Sequence[KeysAndValues], sight: Sight
    ) -> tuple[Float[Array, "B S D"], list[KeysAndValues]]:
        """The same as `features`, with each block and its memory by itself: a loop over blocks copies what is stacked,
        parameters and memory, for every token. Compiling takes longer the more blocks there are.

        Args:
            token: the new ones.
            layers: what `layers` gives.
            kept: of each block.
            sight: what they see.

        Returns:
            Features, and of each block the new tokens' keys and values, with a `Sight.place` all that it keeps.
        """
        x, by, made = self.embedding[token], self._rotation(sight), []
        for params, memory in zip(layers, kept, strict=True):
            x, new = Block(self.config, parent=None).apply({"params": params}, x, memory, sight, by)
            made.append(new)
        return self.norm(x), made

    def _rotation(self, sight: Sight) -> Rotation:
        return rotation(sight.position, self.config.head_size, self.config.rope_base)

    def logits(self, x: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """Of the next token, divided by the policy's temperature."""
        table = self.embedding if self.config.tied else self.unembedding
        return x @ table.T / self.config.temperature

    def value(self, x: Float[Array, "*B D"]) -> Float[Array, "*B"]:
        """The critic: a linear read-out."""
        return self.critic(x)[..., 0]

    def __call__(self, token: Array, sight: Sight) -> Any:
        """Touches every parameter once, for `init`."""
        x, _ = self.features(token, None, sight)
        return self.logits(x), self.value(x)
