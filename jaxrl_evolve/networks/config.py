"""Settings of the networks that are chosen by name."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.settings.checks import AtLeast, NotEmpty
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """Shape of an actor-critic network. Everything here is static: a change compiles anew."""

    encoder: Literal["flat", "minatar", "atari", "tabular"] = "flat"
    """How an observation becomes features: flattened, a 3x3 convolution for 10x10 boards, or the
    three-layer convolution of Mnih et al. (2015) for frames of 36x36 pixels and more. 'tabular' is no
    network but a table with one row per state, for discrete observations."""
    hidden: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (64, 64)
    """Widths of the hidden layers after the encoder (after the first comes the memory, if any)."""
    activation: Literal["tanh", "relu", "swish", "gelu", "elu"] = "tanh"
    """Nonlinearity of the hidden layers."""
    shared: bool = False
    """Whether actor and critic share one trunk."""
    memory: Literal["none", "gru"] = "none"
    """Recurrent memory of the trunk."""
    memory_size: Annotated[int, AtLeast(1)] = 128
    """Width of the memory."""
    distribution: Literal["normal", "tanh_normal"] = "normal"
    """Policy over a continuous action space: a diagonal Normal (the environment clips), or one squashed
    by tanh to the action bounds. Discrete spaces always take a Categorical."""
    kind: str = dataclasses.field(default="actor-critic", metadata=UNWRITTEN_BY_DEFAULT)
    """Which network: 'actor-critic', 'decoder' for tasks of tokens, or the name of one from another package, which reads
    of these fields what means something to it."""
    decoder: DecoderConfig = dataclasses.field(default_factory=DecoderConfig, metadata=UNWRITTEN_BY_DEFAULT)
    """Shape of the decoder."""

    def __post_init__(self) -> None:
        if self.encoder == "tabular" and self.memory != "none":
            raise ValueError(
                f"memory is {self.memory!r}; a table has none, so with it only 'none' is allowed"
            )
