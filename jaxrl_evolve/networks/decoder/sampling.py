"""How tokens are drawn: hotter or colder than the policy, the likely ones only, until when."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrl_envs.token.vocabulary import EOS
from jaxrl_evolve.settings.checks import AtLeast, Between, check

_LEAST = float(np.finfo(np.float32).tiny)
"""Below it a number above 0 would be 0 where it is computed with."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How completions are drawn. Everything here is static: a change compiles anew."""

    limit: Annotated[int, AtLeast(1)]
    """Tokens after which a completion is cut off."""
    temperature: Annotated[float, AtLeast(0.0)] = 1.0
    """By which the policy's logits are divided (after its own temperature); 0 takes the most probable token."""
    top_p: Annotated[float, Between(0.0, 1.0)] = 1.0
    """Mass of the most probable tokens that are drawn from, see `nucleus`; 1 draws from all."""
    eos: Annotated[int, AtLeast(0)] = EOS
    """The token that ends a completion."""
    tokens: Annotated[int, AtLeast(0)] = 0
    """How many of the model's tokens are drawn, from 0 on; 0 for all. Published models have more than their tokenizers know."""

    def __post_init__(self) -> None:
        check(self, "sampling")
        if self.tokens and self.eos >= self.tokens:
            raise ValueError(
                f"sampling.eos is {self.eos}; it must be one of the {self.tokens} tokens that are drawn"
            )
        if not self.top_p:
            raise ValueError(
                "sampling.top_p is 0.0; it must be above 0, and with temperature 0 one token is left"
            )


def known(logits: Float[Array, "*B V"], sampling: Sampling) -> Float[Array, "*B V"]:
    """Logits of the tokens that are drawn at all, minus infinity for the others."""
    if not sampling.tokens:
        return logits
    return jnp.where(jnp.arange(logits.shape[-1]) < sampling.tokens, logits, -jnp.inf)


def nucleus(logits: Float[Array, "*B V"], top_p: float) -> Float[Array, "*B V"]:
    """Logits of the fewest most probable tokens that together have the probability ``top_p``, minus infinity for the others
    (Holtzman et al. 2020, arXiv 1904.09751). Of equal ones the first count as more probable.
    """
    top_p = max(top_p, _LEAST)
    order = jnp.argsort(-logits, axis=-1, stable=True)
    falling = jnp.take_along_axis(jax.nn.softmax(logits), order, -1)
    kept = (
        jnp.cumsum(falling, -1) - falling < top_p
    )  # what came before has not reached it; the first always counts
    kept = jnp.put_along_axis(jnp.zeros(logits.shape, bool), order, kept, -1, inplace=False)
    return jnp.where(kept, logits, -jnp.inf)


def drawn_from(logits: Float[Array, "*B V"], sampling: Sampling) -> Float[Array, "*B V"]:
    """Logits of the distribution that tokens are drawn from, of those of the policy. At temperature 0 none is drawn."""
    logits = known(logits, sampling)
    # Less the greatest first: of numbers that a small temperature made large, a difference is rounding and nothing else.
    logits = (logits - logits.max(-1, keepdims=True)) / max(sampling.temperature, _LEAST)
    return logits if sampling.top_p == 1 else nucleus(logits, sampling.top_p)
