"""Completions that are read after a draft of the same prompt: who revises is the policy that has not forgotten its first episode.

The context of a revision is the draft's whole episode, the draft's last token, and the prompt once more, so the policy is asked just where it always is.
Nobody writes revisions while it is learned: the completions of a group are taken two by two, each as a draft, and as a revision of itself and of the other.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.token.vocabulary import PAD
from jaxrl_evolve.experience.completions import Completions
from jaxrl_evolve.learners.sequence_config import SequenceConfig
from jaxrl_evolve.networks.decoder_config import require_context
from jaxrl_evolve.networks.network import Network


@struct.dataclass
class Revisions:
    """Each of ``M`` completions of ``G`` groups as a draft, with two revisions: itself, and the other of its pair.

    Attributes:
        obs: what is read, token and whether the policy is asked; up to ``R`` tokens.
        action: the revision's tokens where the policy is asked, elsewhere `PAD`.
        reference: log-probability of the revision by the reference policy.
    """

    obs: Int[Array, "G M 2 R 2"]
    action: Int[Array, "G M 2 R"]
    reference: Float[Array, "G M 2"]


def longest_revision(steps: int) -> int:
    """Tokens of a draft and a revision of so many steps each, and the draft's last token, which no observation of its episode has."""
    return 2 * steps + 1


def neighbours(members: int) -> Bool[Array, "M M"]:
    """Which completions of a group are a pair: the first two, the next two, and so on."""
    place = jnp.arange(members)
    return place[:, None] == place ^ 1


def check_revisions(config: SequenceConfig, env: Env, rollout_length: int) -> None:
    """Refuse a policy that cannot read a draft and its revision.

    Raises:
        ValueError: the network is no decoder, or its context does not hold both.
    """
    if config.loss != "srpo":
        return
    if (kind := config.network.kind) != "decoder":
        raise ValueError(
            f"learner.network.kind is {kind!r}, but the loss is 'srpo', where who revises reads the draft in {env.name}; it must be 'decoder', and the environment a task of tokens"
        )
    what = f"what a draft and its revision of up to {rollout_length} steps each take"
    name = "learner.network.decoder.context"
    require_context(config.network.decoder, longest_revision(rollout_length), what, name)


def after_drafts(obs: Array, action: Array, found: Completions, groups: int) -> tuple[Array, Array]:
    """What is read and done where a completion is the revision of another: `Revisions.obs` and `Revisions.action`.

    Args:
        obs: int32 ``[T, N, 2]``.
        action: int32 ``[T, N]``.
        found: the completions; of pairs in which one is missing anything comes out.
        groups: ``G``.
    """
    steps, slots = action.shape
    most = found.whole.shape[1]
    own = found.number.T[:, None] == jnp.arange(most)[:, None]  # [N, E, T]
    count, begun = own.sum(-1), jnp.argmax(own, -1)
    at = jnp.minimum(begun[..., None] + jnp.arange(steps), steps - 1)
    slot = jnp.arange(slots)[:, None, None]
    in_groups = lambda x: x.reshape((groups, -1, *x.shape[2:]))
    read, done = in_groups(obs[at, slot]), in_groups(action[at, slot])  # [G, M, T, 2], [G, M, T]
    count = in_groups(count)[:, :, None, None]
    last = jnp.take_along_axis(done[:, :, None], jnp.maximum(count - 1, 0), -1)
    members = count.shape[1]
    revision = jnp.stack([jnp.arange(members), jnp.arange(members) ^ 1], 1)  # [M, 2]

    place = jnp.arange(longest_revision(steps))
    behind = place - count - 1  # [G, M, 1, R], the place in the revision
    inside = (behind >= 0) & (behind < count[:, revision, 0])
    picked = jnp.clip(behind, 0, steps - 1)
    of = lambda x: jnp.take_along_axis(x[:, revision], jnp.broadcast_to(picked, inside.shape), -1)
    drafted = read[:, :, None, :, 0][..., jnp.minimum(place, steps - 1)]
    before = jnp.where(place < count, drafted, jnp.where(place == count, last, PAD))
    token = jnp.where(inside, of(read[..., 0]), before)
    asked = inside & (of(read[..., 1]) != 0)
    return jnp.stack([token, asked.astype(token.dtype)], -1), jnp.where(asked, of(done), PAD)


def log_probs_after(network: Network, params: Any, obs: Array, action: Array) -> Float[Array, "G M 2"]:
    """Log-probabilities of whole revisions, given what they revise.

    Args:
        network: the policy's.
        params: of it, or what `Network.actor` takes out of them.
        obs: see `Revisions`.
        action: likewise.
    """
    in_a_row = lambda x: jnp.moveaxis(x.reshape((-1, *x.shape[3:])), 1, 0)
    obs_row, action_row = in_a_row(obs), in_a_row(action)
    first = jnp.zeros(action_row.shape, bool).at[0].set(True)
    memory = network.before_any(action_row.shape[1])
    distribution = network.unroll(params, obs_row, first, memory)[0]
    # Where the policy is not asked, PAD has the log-probability 0.
    return distribution.log_prob(action_row).sum(0).reshape(action.shape[:3])


def revisions_of(
    network: Network, reference: Any, obs: Array, action: Array, found: Completions, groups: int
) -> Revisions:
    """The completions of a rollout as drafts and revisions, see `after_drafts`.

    Args:
        network: the policy's.
        reference: parameters of the reference policy.
        obs: see `after_drafts`; likewise the others.
        action: of the rollout.
        found: its completions.
        groups: ``G``.
    """
    read, done = after_drafts(obs, action, found, groups)
    return Revisions(read, done, jax.lax.stop_gradient(log_probs_after(network, reference, read, done)))
