"""What is known of completions before anything is learned from them: their worths, who prefers which, and how likely earlier policies were to write them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.experience.completions import Completions, at_ends, over_steps
from jaxrl_evolve.learners.sequence_acting import Parts, SequenceState, opponents
from jaxrl_evolve.learners.sequence_losses import Answers
from jaxrl_evolve.learners.sequence_revisions import neighbours, revisions_of
from jaxrl_evolve.preferences.comparison import only, rates_of, winrate_matrix
from jaxrl_evolve.preferences.episodes import lived, nothing_lived
from jaxrl_evolve.preferences.summary import Summary
from jaxrl_evolve.trajectory import Trajectory


def log_probs(parts: Parts, params: Any, obs: Any, first: Array, action: Array) -> tuple[Array, Array]:
    """Log-probabilities of actions and entropies, ``[T, N]``."""
    memory = parts.network.before_any(first.shape[1])
    distribution = parts.network.unroll(params, obs, first, memory)[0]
    return distribution.log_prob(action), distribution.entropy()


def _summaries(parts: Parts, t: Trajectory, found: Completions) -> Summary:
    """Of the completions, ``[G, M]``; those that there are not are not finite."""
    most, groups = parts.config.completions, parts.num_envs // parts.config.group
    _, phi = lived(parts.watch, nothing_lived(parts.watch, t), t)
    phi = at_ends(phi, found.number, t.ended, most)
    phi = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), phi)
    phi = only(found.whole.ravel(), phi)  # what is not there is compared with nobody
    return jax.tree.map(lambda x: x.reshape((groups, -1, *x.shape[1:])), phi)


def _labels(parts: Parts, key: Array, phi: Summary) -> Float[Array, "G M M"]:
    """Of every completion against the others of its group."""
    assert parts.oracle is not None
    oracle, keys = parts.oracle, jax.random.split(key, phi.total.shape[0])
    return jax.vmap(lambda k, p: winrate_matrix(oracle, k, p, soft=parts.config.soft))(keys, phi)


def optimistic(labels: Float[Array, "G M M"], other: Array) -> Float[Array, "G M M"]:
    """Labels of pairs of those who are not ``other``, with the last change of win rates expected once more: ``2 P p - P p'`` of the solver `omwu`, where the
    others answer by the policy ``p'`` that was before ``p``.

    A pair's label stands for ``P p``, unbiased; what one of the two wins more often against the others, for ``P p'``.

    Args:
        labels: of each against each, NaN where they were not compared.
        other: bool ``[M]``.
    """
    against = other & ~jnp.isnan(labels)
    before = jnp.where(against, labels, 0.0).sum(-1) / against.sum(-1)  # NaN against nobody
    margin = 2.0 * (labels - 0.5) - (before[..., :, None] - before[..., None, :])
    return jnp.where(other[:, None] | other[None], jnp.nan, 0.5 + margin)


def _by_criterion(parts: Parts, phi: Summary, whole: Array) -> Float[Array, "G M K"]:
    """Worth of each completion by each criterion: its sum, or the share of the others in whom it is smaller, ties as half."""
    total = jnp.where(whole[..., None], phi.criteria, 0.0)
    if parts.config.worth == "reward":
        return total
    mine, others = total[:, :, None], total[:, None]
    there = (whole[:, None] & ~jnp.eye(whole.shape[1], dtype=bool))[..., None]
    won = jnp.where(there, (mine > others) + 0.5 * (mine == others), 0.0)
    return won.sum(2) / jnp.maximum(there.sum(2), 1)


def answers_of(
    parts: Parts, key: Array, state: SequenceState, t: Trajectory, found: Completions
) -> tuple[Answers, Array]:
    """The completions as the losses read them, and the queries that were made.

    Args:
        parts: of the learner.
        key: of the labels.
        state: before the update.
        t: the rollout, leaves ``[T, N, ...]``.
        found: its completions.
    """
    config, groups = parts.config, parts.num_envs // parts.config.group
    in_groups = lambda x: x.reshape((groups, -1))
    whole, worth, labels, queries = in_groups(found.whole), in_groups(found.total), (), jnp.int32(0)
    phi = _summaries(parts, t, found) if config.asks or config.axes else None
    if config.asks and phi is not None:
        labels = _labels(parts, key, phi)
        other = jnp.repeat(opponents(parts, config.group), config.completions)
        if config.mixed == "half":
            labels = jnp.where(other[:, None] != other[None], labels, jnp.nan)
        elif config.mixed == "past":
            labels = jnp.where(other[:, None] & other[None], jnp.nan, labels)
        elif config.loss == "srpo":
            labels = jnp.where(neighbours(whole.shape[1]), labels, jnp.nan)
        rates = jax.vmap(rates_of)(labels)
        queries = rates.queries.sum().astype(jnp.int32)
        if config.worth == "preference":
            worth = jnp.where(rates.compared > 0, rates.rate, 0.5).astype(jnp.float32)
        if config.mixed in ("half", "past"):
            whole = whole & ~other
        if config.mixed == "past":
            labels = optimistic(labels, other)
    # A reward that is no number is no tie: the loss is none then, and the run says that it ended.
    worth = jnp.where(jnp.isfinite(in_groups(found.total)), worth, jnp.nan)
    # Of who is only compared with nothing is learned: no divergence, no entropy, no share of a mean over tokens.
    learned = over_steps(whole.reshape(found.whole.shape).astype(jnp.float32), found.number) > 0
    earlier = lambda policy: log_probs(parts, policy.actor, t.obs, t.first, t.action)[0]
    old = t.policy.log_prob
    past: Any = earlier(state.past) if config.past != "none" else ()
    revisions: Any = ()
    if config.loss == "srpo":
        revisions = revisions_of(parts.network, state.reference.actor, t.obs, t.action, found, groups)
    base = jnp.where(state.updates % 2 == 1, past, old) if config.extragradient else ()
    answers = Answers(
        old,
        earlier(state.reference) if config.reference != "rollout" else old,
        found.number,
        found.asked & learned,
        whole,
        in_groups(found.length),
        jnp.where(whole, worth, 0.0),
        labels,
        past,
        base,
        _by_criterion(parts, phi, whole) if config.axes and phi is not None else (),
        revisions,
    )
    return answers, queries
