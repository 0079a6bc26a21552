"""Prompts of revisions: the prompt, a draft, and the prompt once more, for a policy that learned to revise what it reads (`learners.sequence_revisions`)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxrl_envs.token.vocabulary import PAD
from jaxrl_evolve.networks.decoder.generate import Completions


def revision_prompts(
    prompts: Any, lengths: Any, drafts: Completions
) -> tuple[Int[Array, "B Q"], Int[Array, " B"]]:
    """What `generate` reads to revise, ``Q = 2 P + L`` tokens at most, and their numbers; of a revision in its turn the draft is the one before it.

    Args:
        prompts: int32 ``[B, P]``, as the drafts were drawn for.
        lengths: int32 ``[B]``, tokens of each prompt.
        drafts: completions of these, up to ``L`` tokens each.

    Raises:
        ValueError: there is not a draft for each prompt.
    """
    rows = jnp.shape(prompts)[:1]
    if jnp.ndim(prompts) != 2 or jnp.shape(lengths) != rows or drafts.lengths.shape != rows:
        raise ValueError(
            f"prompts have shape {jnp.shape(prompts)}, lengths {jnp.shape(lengths)} and drafts.lengths {drafts.lengths.shape}; these must be [B, P], [B] and [B]"
        )
    prompts, lengths = jnp.asarray(prompts, jnp.int32), jnp.asarray(lengths, jnp.int32)
    size, drafted = prompts.shape[1], drafts.tokens.shape[1]
    place = jnp.broadcast_to(jnp.arange(2 * size + drafted), (prompts.shape[0], 2 * size + drafted))
    begun = lengths[:, None]
    again = begun + drafts.lengths[:, None]
    of = lambda x, at: jnp.take_along_axis(x, jnp.clip(at, 0, x.shape[1] - 1), 1)
    read = jnp.where(place < again, of(drafts.tokens, place - begun), of(prompts, place - again))
    read = jnp.where(place < begun, of(prompts, place), read)
    whole = again[:, 0] + lengths
    return jnp.where(place < whole[:, None], read, PAD), whole
