"""Settings of the decoder, the network that reads an episode as a sequence of tokens."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from jaxrl_evolve.settings.checks import Above, AtLeast, check


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """Shape of a decoder-only transformer. Everything here is static: a change compiles anew."""

    layers: Annotated[int, AtLeast(1)] = 2
    """Blocks of attention and perceptron."""
    width: Annotated[int, AtLeast(1)] = 64
    """Of what runs through all blocks, for each token."""
    heads: Annotated[int, AtLeast(1)] = 4
    """Queries of each token and block."""
    kv_heads: Annotated[int, AtLeast(1)] = 2
    """Keys and values of each token and block; as many queries share each, so it must divide `heads`."""
    head_dim: Annotated[int, AtLeast(0)] = 0
    """Width of a query, a key and a value, an even number; 0 is `width / heads`."""
    mlp: Annotated[int, AtLeast(1)] = 128
    """Hidden width of the perceptrons."""
    context: Annotated[int, AtLeast(1)] = 64
    """Tokens that the memory holds: a token attends to itself and so many less one before it, in its episode."""
    rope_base: Annotated[float, Above(1.0)] = 10_000.0
    """Base of the wavelengths of the rotary positions."""
    epsilon: Annotated[float, Above(0.0)] = 1e-6
    """Added to the mean square where vectors are normalised."""
    tied: bool = True
    """Whether the logits are read off by the embedding of the tokens, or by a matrix of their own."""
    qkv_bias: bool = False
    """Whether queries, keys and values have biases, as in Qwen2; Llama has none."""
    temperature: Annotated[float, AtLeast(1e-6)] = 1.0
    """By which the logits are divided, in acting and in learning alike."""

    def __post_init__(self) -> None:
        check(self)
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads is {self.kv_heads}; it must divide heads, which is {self.heads}")
        if not self.head_dim and self.width % self.heads:
            raise ValueError(
                f"heads is {self.heads}; it must divide width, which is {self.width}, unless head_dim is given"
            )
        if self.head_size % 2:
            name, value = ("head_dim", self.head_dim) if self.head_dim else ("width / heads", self.head_size)
            raise ValueError(f"{name} is {value}; positions turn pairs of numbers, so it must be even")

    @property
    def head_size(self) -> int:
        """Width of a query, a key and a value."""
        return self.head_dim or self.width // self.heads


def require_context(config: DecoderConfig, longest: int, what: str, name: str = "context") -> None:
    """Refuse a context that does not hold a whole episode, for whoever knows how long one can be.

    Args:
        config: the decoder's.
        longest: tokens that have to fit.
        what: where these come from, in a message.
        name: of the setting, in a message.

    Raises:
        ValueError: they do not fit.
    """
    if longest > config.context:
        raise ValueError(f"{name} is {config.context}; it must be at least {longest}, {what}")
