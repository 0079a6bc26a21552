"""Losses of whole completions, on the core of `preferences.losses`: what their tokens' log-probabilities are to become."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.experience.completions import over_steps, summed
from jaxrl_evolve.learners.sequence_config import PAIRS, SequenceConfig
from jaxrl_evolve.preferences import losses
from jaxrl_evolve.preferences.kl import kl_loss

NO_SPREAD = 1e-6
"""A group whose members' worths differ by less says nothing, and its advantages are exactly 0."""
ROUNDING = 1e-5
"""Log-probabilities of a token that differ by less are the same: a rollout that is read says what acting said no more exactly."""


@struct.dataclass
class Answers:
    """Completions of ``N`` slots in groups of neighbours, as the losses read them; ``G`` groups of ``M`` completions.

    Attributes:
        old: log-probabilities of the actions when they were taken, float32 ``[T, N]``.
        reference: those of the reference policy.
        number: see `Completions`.
        asked: see `Completions`.
        whole: bool ``[G, M]``, whether there is such a completion.
        length: float32 ``[G, M]``, its tokens.
        worth: float32 ``[G, M]``: return, or win rate; NaN where the return is no finite number, which makes the loss NaN.
        labels: float32 ``[G, M, M]``, of each against each, NaN where they were not compared; or ``()``. Optimistic ones are below 0 and above 1.
        past: log-probabilities of the past policy, or ``()``.
        base: those of the policy that steps are made from, or ``()`` where that is the one that answered.
        axes: float32 ``[G, M, K]``, worths by criterion, or ``()``.
        revisions: the completions as revisions of others, see `learners.sequence_revisions`, or ``()``.
    """

    old: Float[Array, "T N"]
    reference: Float[Array, "T N"]
    number: Int[Array, "T N"]
    asked: Bool[Array, "T N"]
    whole: Bool[Array, "G M"]
    length: Float[Array, "G M"]
    worth: Float[Array, "G M"]
    labels: Any = ()
    past: Any = ()
    base: Any = ()
    axes: Any = ()
    revisions: Any = ()


def advantages(kind: str, worth: Float[Array, "G M"], whole: Bool[Array, "G M"]) -> Float[Array, "G M"]:
    """Worths against the group's own: GRPO's ``standard`` (Shao et al. 2024, arXiv 2402.03300), Dr.GRPO's ``mean`` (Liu et al. 2025, arXiv
    2503.20783), RLOO's ``leave_one_out`` (Ahmadian et al. 2024, arXiv 2402.14740).

    ``half`` is the worth against one half, as in Nash-MD's policy gradient (Munos et al. 2023, arXiv 2312.00886).
    The others are zero in groups that do not differ, and all of completions that there are not.
    """
    if kind == "half":
        return jnp.where(whole, worth - 0.5, 0.0)
    count = jnp.maximum(whole.sum(-1, keepdims=True), 1).astype(jnp.float32)
    mean = jnp.where(whole, worth, 0.0).sum(-1, keepdims=True) / count
    apart = jnp.where(whole, worth - mean, 0.0)
    deviation = jnp.sqrt(jnp.square(apart).sum(-1, keepdims=True) / count)
    if kind == "standard":
        apart = apart / jnp.maximum(deviation, NO_SPREAD)
    elif kind == "leave_one_out":
        apart = apart * count / jnp.maximum(count - 1.0, 1.0)
    # Of worths that are all the same the mean is one of them to rounding only, so the deviation cannot tell.
    return jnp.where(spread(worth, whole)[..., None] > NO_SPREAD, apart, 0.0)


def spread(worth: Float[Array, "G M"], whole: Bool[Array, "G M"]) -> Float[Array, " G"]:
    """The highest worth of a group less the lowest, of those that there are; minus infinity where there is none."""
    return jnp.where(whole, worth, -jnp.inf).max(-1) - jnp.where(whole, worth, jnp.inf).min(-1)


def settled(apart: Array, of: Any = 1.0) -> Array:
    """Log-ratios, those that are nothing but rounding exactly 0, all with their gradients.

    Optimisers that divide by what gradients are like would make whole steps of it where nobody differs.

    Args:
        apart: log-ratios.
        of: tokens that each is the sum of.
    """
    return jnp.where(jnp.abs(apart) < ROUNDING * of, apart - jax.lax.stop_gradient(apart), apart)


def _in_groups(values: Float[Array, "N E"], groups: int) -> Float[Array, "G M"]:
    return values.reshape((groups, -1))


def loss_of(
    config: SequenceConfig,
    hp: Any,
    log_prob: Float[Array, "T N"],
    entropy: Float[Array, "T N"],
    answers: Answers,
    after: Any = (),
) -> tuple[Array, dict[str, Array]]:
    """The loss of a minibatch of whole groups, and its metrics.

    Args:
        config: which one.
        hp: `SequenceHyperparameters`.
        log_prob: of the actions, by the policy that learns.
        entropy: of its distributions.
        answers: the completions.
        after: log-probabilities of their revisions by the policy that learns, ``[G, M, 2]``, where it learns to revise.
    """
    a, (groups, members) = answers, answers.whole.shape
    slots = log_prob.shape[1]
    most = groups * members // slots
    asked = a.asked.astype(jnp.float32)
    apart = settled(jnp.where(a.asked, log_prob - _towards(config, hp, a), 0.0))
    ratio = _in_groups(summed(apart, a.number, most), groups)
    if config.logp_reduction == "mean":
        ratio = ratio / jnp.maximum(a.length, 1.0)
    count = jnp.maximum(a.whole.sum(), 1).astype(jnp.float32)
    metrics: dict[str, Array] = {}
    if config.loss == "imitate":
        # Where the policy was not asked, what the teacher did may be impossible.
        total = -jnp.where(a.asked, log_prob, 0.0).sum() / jnp.maximum(asked.sum(), 1.0)
    elif config.loss == "srpo":
        total = _of_revisions(config, hp, ratio, after, a)
    elif config.loss in PAIRS:
        total = _of_pairs(config, hp, ratio, a)
    elif config.loss == "sppo":
        weight = a.whole / jnp.maximum(a.whole.sum(-1, keepdims=True), 1)
        total = losses.sppo(ratio, jnp.where(a.whole, a.worth, 0.5), hp.eta, config.baseline, weight)
        total = (total * a.whole.sum(-1)).sum() / count
    elif config.loss == "nft":
        total = _nft(config, log_prob, a, most)
    else:
        advantage = _advantage(config, a)
        token = over_steps(advantage.reshape((slots, most)), a.number)
        each, clipped = _policy_gradient(config, hp, log_prob, a.old, token)
        total = _added_up(config, jnp.where(a.asked, each, 0.0), a, most, count)
        metrics["clip_fraction"] = (clipped * asked).sum() / jnp.maximum(asked.sum(), 1.0)
    if config.kl != "none":
        total = total + hp.kl_coef * _divergence(config, log_prob, a, most, count)
    bonus = (entropy * asked).sum() / jnp.maximum(asked.sum(), 1.0)
    metrics["entropy"] = bonus
    if config.loss != "imitate":  # there the policy was not asked
        metrics["log_ratio"] = jnp.where(a.whole, ratio, 0.0).sum() / count
    sound = (jnp.isfinite(a.worth) | ~a.whole).all()
    return jnp.where(sound, total - hp.entropy_coef * bonus, jnp.nan), metrics


def _towards(config: SequenceConfig, hp: Any, a: Answers) -> Array:
    """What log-ratios are to: a geometric mixture of the policy that steps are made from, the reference, and the past policy."""
    if config.loss == "srpo":
        return a.reference
    base = a.old if isinstance(a.base, tuple) else a.base
    towards = base + hp.mixture * (a.reference - base)
    return towards if isinstance(a.past, tuple) else towards + hp.past_mixture * (a.past - base)


def _advantage(config: SequenceConfig, a: Answers) -> Array:
    """On the worth, or on each criterion by itself, weighted."""
    if not config.axes:
        return advantages(config.advantage, a.worth, a.whole)
    each = (advantages(config.advantage, a.axes[..., k], a.whole) for k in range(len(config.axes)))
    return sum((w * x for w, x in zip(config.axes, each, strict=True)), jnp.zeros_like(a.worth))


def _policy_gradient(
    config: SequenceConfig, hp: Any, log_prob: Array, old: Array, advantage: Array
) -> tuple[Array, Array]:
    """The loss of each token, and where the ratio was clipped."""
    if config.loss == "reinforce":
        return -jax.lax.stop_gradient(advantage) * log_prob, jnp.zeros_like(log_prob)
    # Far off, what is clipped has no gradient, and infinity times zero none that is a number.
    ratio = jnp.exp(jnp.clip(log_prob - old, -20.0, 20.0))
    bounded = jnp.clip(ratio, 1.0 - hp.clip, 1.0 + hp.clip)
    each = -jnp.minimum(ratio * advantage, bounded * advantage)
    return each, (ratio != bounded).astype(jnp.float32)


def _added_up(config: SequenceConfig, each: Array, a: Answers, most: int, count: Array) -> Array:
    match config.aggregate:
        case "token":
            return each.sum() / jnp.maximum(a.asked.sum(), 1)
        case "constant":
            return each.sum() / (count * each.shape[0])
        case "sum":
            return each.sum() / count
    sums = summed(each, a.number, most).reshape(a.length.shape)
    return (sums / jnp.maximum(a.length, 1.0)).sum() / count


def _of_pairs(config: SequenceConfig, hp: Any, ratio: Array, a: Answers) -> Array:
    """The mean over all pairs of a group that were compared."""
    there = ~jnp.isnan(a.labels) & jnp.triu(jnp.ones(a.labels.shape[-2:], bool), 1)
    label = jnp.where(there, a.labels, 0.5)
    first, second = ratio[:, :, None], ratio[:, None, :]
    if config.loss == "dpo":
        noisy = label + hp.label_noise * (1.0 - 2.0 * label)
        each = losses.dpo(first, second, noisy, hp.beta)
    else:
        each = losses.ipo(first, second, label, hp.beta)
    return jnp.where(there, each, 0.0).sum() / jnp.maximum(there.sum(), 1)


def _of_revisions(config: SequenceConfig, hp: Any, ratio: Array, after: Array, a: Answers) -> Array:
    """The mean over the pairs that were compared; both of a pair are drafts, and revisions of themselves and of each other."""
    groups, members = ratio.shape
    pairs = (groups, members // 2, 2)
    length = a.length.reshape(pairs)
    apart = settled((after - a.revisions.reference).reshape((*pairs, 2)), jnp.maximum(length, 1.0)[..., None])
    if config.logp_reduction == "mean":
        itself_and_other = jnp.stack([length, length[..., ::-1]], -1)
        apart = apart / jnp.maximum(itself_and_other, 1.0)
    kept, revised = apart[..., 0], apart[..., ::-1, 1]  # the latter of each as a revision of the other
    label = a.labels[:, jnp.arange(0, members, 2), jnp.arange(1, members, 2)]
    there = ~jnp.isnan(label)
    label = jnp.where(there, label, 0.5)
    each = losses.srpo(ratio.reshape(pairs), kept, revised, label, hp.beta, hp.draft_weight)
    return jnp.where(there, each, 0.0).sum() / jnp.maximum(there.sum(), 1)


def _nft(config: SequenceConfig, log_prob: Array, a: Answers, most: int) -> Array:
    """Of each completion's ratio to the policy that answered, in groups that are neither all right nor all wrong."""
    ratio = summed(jnp.where(a.asked, log_prob - a.old, 0.0), a.number, most).reshape(a.length.shape)
    if config.logp_reduction == "mean":
        ratio = ratio / jnp.maximum(a.length, 1.0)
    right = (a.worth > 0.5) & a.whole
    rate = right.sum(-1, keepdims=True) / jnp.maximum(a.whole.sum(-1, keepdims=True), 1)
    each = losses.nft(ratio, right.astype(jnp.float32), jnp.broadcast_to(rate, ratio.shape), config.balance)
    there = a.whole & (rate > 0.0) & (rate < 1.0)
    return jnp.where(there, each, 0.0).sum() / jnp.maximum(a.whole.sum(), 1)


def _divergence(config: SequenceConfig, log_prob: Array, a: Answers, most: int, count: Array) -> Array:
    kind: Any = config.kl
    total = jnp.float32(0)
    for e in range(most):
        own = a.asked & (a.number == e)
        mine, others = (jnp.where(own, x, 0.0).T for x in (log_prob, a.reference))
        others = jnp.where(jnp.abs(mine - others) < ROUNDING, jax.lax.stop_gradient(mine), others)
        total = total + kl_loss(mine, others, kind).sum()
    return total / count
