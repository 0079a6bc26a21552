"""Settings of the network of agents that learn action values."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from jaxrl_evolve.settings.checks import AtLeast, Between, NotEmpty


@dataclasses.dataclass(frozen=True)
class ActionValuesConfig:
    """Shape of an `ActionValues` network. Everything here is static: a change compiles anew."""

    encoder: Literal["flat", "minatar", "atari", "impala"] = "flat"
    """How an observation becomes features: flattened, a 3x3 convolution for 10x10 boards, the three-layer convolution of
    Mnih et al. (2015) for frames of 36x36 pixels and more (of 8x8 where the layout pads them), or the residual one of Espeholt et al. (2018)."""
    width: Annotated[int, AtLeast(1)] = 1
    """Times as many channels as a convolutional encoder has by itself."""
    hidden: Annotated[tuple[int, ...], NotEmpty(), AtLeast(1)] = (120, 84)
    """Widths of the hidden layers after the encoder. The last one is the head's: of each of its two streams in the layout
    `faithful`."""
    activation: Literal["tanh", "relu", "swish", "gelu", "elu"] = "relu"
    """Nonlinearity of the hidden layers."""
    layout: Literal["orthogonal", "faithful", "jax-port"] = "orthogonal"
    """How weights begin and parts are joined: orthogonal, without padding, one stream; `faithful`, as SPR's authors did first
    (uniform, no padding, two streams, batch normalisation in the transition model); or `jax-port`, as in their later code
    (Glorot's, padding, one stream, no normalisation)."""
    layer_norm: bool = False
    """Whether every layer of encoder and head but the last is normalised before its nonlinearity (Ba et al. 2016)."""
    renormalise: bool = False
    """Whether features are brought to [0, 1], each observation by itself."""
    dueling: bool = False
    """Whether the head has a value and advantages (Wang et al. 2016)."""
    noisy: bool = False
    """Whether the head explores by noise in its weights (factorised, sigma 0.5; Fortunato et al. 2018)."""
    dropout: Annotated[float, Between(0.0, 1.0)] = 0.0
    """Share of the units of the encoders `minatar` and `atari`, after each convolution, left out in training; with another encoder it must be 0."""
