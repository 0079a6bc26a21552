"""What episodes are paid for being preferred to others, in place of rewards (Swamy et al. 2024, arXiv 2401.04056)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve import random
from jaxrl_evolve.learners.spo_config import SPOConfig
from jaxrl_evolve.preferences.comparison import (
    Queue,
    against_queue,
    empty_queue,
    in_batch,
    only,
    payoff,
    push,
    subsample,
)
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.oracle import Marked, Oracle, restricted
from jaxrl_evolve.preferences.stored import read_summaries


class Compared(NamedTuple):
    """What came of comparing the episodes that ended in a rollout.

    Attributes:
        payoff: float32 ``[T, N]``, at the last steps of episodes ``2 w - 1`` of their win rates, else 0.
        win_rate: mean over the episodes that were compared; 1/2 if there are none.
        compared: float32 scalar, how many there are.
        queries: int32 scalar, how many labels were asked for.
        phi: summaries of the episodes, ``[M, ...]``, not finite where there was none.
        there: bool ``[T, N]``, the last steps of those that were compared.
    """

    payoff: Float[Array, "T N"]
    win_rate: Float[Array, ""]
    compared: Float[Array, ""]
    queries: Int[Array, ""]
    phi: Any
    there: Bool[Array, "T N"]


def compared(
    oracle: Oracle,
    key: Array,
    phi: Any,
    ended: Bool[Array, "T N"],
    most: int,
    comparators: int | Queue | None,
    soft: bool,
    group: Int[Array, "T N"] | None = None,
    judges: Int[Array, "T N"] | None = None,
) -> Compared:
    """Compare the episodes that ended.

    Args:
        oracle: that is asked.
        key: of the labels.
        phi: summaries after every step, leaves ``[T, N, ...]``.
        ended: at which steps they are whole.
        most: how many there may be, see `chosen`; the rest is paid nothing.
        comparators: those of a queue, so many of the same rollout (all others where there are fewer), or all (None).
        soft: probabilities instead of labels.
        group: a number that those share who are compared among themselves only; None compares all.
        judges: which of several oracles judges the episode, if ``oracle`` is one made by `by_mark`.
    """
    steps = ended.size
    if judges is not None:
        phi = Marked(phi, judges)
    if group is not None:
        oracle, phi = restricted(oracle, alike=True), Marked(phi, group)
    place = chosen(key, ended, most)
    there = place < steps
    taken = jax.tree.map(lambda x: x.reshape((steps, *x.shape[2:]))[jnp.minimum(place, steps - 1)], phi)
    # What is not finite is compared with nobody.
    taken = only(there, taken)
    if isinstance(comparators, Queue):
        rates = against_queue(oracle, key, taken, comparators, soft=soft)
    elif comparators is None:
        rates = in_batch(oracle, key, taken, soft=soft)
    else:
        rates = subsample(oracle, key, taken, comparators=comparators, soft=soft)
    won = payoff(rates).astype(jnp.float32)
    paid = jnp.zeros((steps,), jnp.float32).at[place].set(won, mode="drop").reshape(ended.shape)
    with_others = rates.compared > 0
    at = jnp.zeros((steps,), bool).at[place].set(with_others, mode="drop").reshape(ended.shape)
    count = with_others.sum()
    mean = jnp.where(with_others, rates.rate, 0.0).sum() / jnp.maximum(count, 1)
    return Compared(
        paid,
        jnp.where(count > 0, mean, 0.5).astype(jnp.float32),
        count.astype(jnp.float32),
        rates.queries,
        taken,
        at,
    )


@struct.dataclass
class Budget:
    """Labels of the whole run, and whether they have run out.

    Attributes:
        most: how many there may be (static).
        spent: bool scalar, whether an update would have taken more: from then on nobody is asked.
    """

    spent: Bool[Array, ""]
    most: int = struct.field(pytree_node=False)

    @classmethod
    def of(cls, most: int) -> Budget:
        """Nothing is spent yet."""
        return cls(jnp.zeros((), bool), most)


def afforded(
    found: Compared, before: Count, budget: Budget | tuple[()]
) -> tuple[Compared, Any, Bool[Array, ""]]:
    """What a budget has room for: all that came of comparing, or nothing, as if nobody had been asked.

    Args:
        found: in this update.
        before: labels asked for in those before it.
        budget: of the run, before it; ``()`` without a bound.

    Returns:
        That, the budget after it, and whether it lasts.
    """
    if not isinstance(budget, Budget):
        return found, budget, jnp.ones((), bool)
    spent = budget.spent | ~before.plus(found.queries).within(budget.most)
    none = found._replace(
        payoff=jnp.zeros_like(found.payoff),
        win_rate=jnp.full_like(found.win_rate, 0.5),
        compared=jnp.zeros_like(found.compared),
        queries=jnp.zeros_like(found.queries),
        there=jnp.zeros_like(found.there),
    )
    return jax.tree.map(partial(jnp.where, spent), none, found), Budget(spent, budget.most), ~spent


def chosen(key: Array, ended: Bool[Array, "T N"], most: int) -> Int[Array, " most"]:
    """Places, in a rollout laid flat, of episodes that ended: all, or a uniform choice of ``most`` where there are more.

    Those that ended first would be the short ones, and nobody would be compared with those of the rollout's end.

    Args:
        key: of the labels; what is drawn here is drawn apart from them.
        ended: at which steps episodes are whole.
        most: how many are chosen.

    Returns:
        Places in the order of time, and ``T N`` where there are fewer.
    """
    flat = ended.ravel()

    def some() -> Array:
        drawn = jax.random.bits(jax.random.fold_in(key, random.KeyTag.COMPARED), flat.shape, jnp.uint32)
        return flat & (drawn <= jnp.sort(jnp.where(flat, drawn, jnp.uint32(2**32 - 1)))[most - 1])

    if most < flat.size:  # sorting is skipped in updates that have room for all
        flat = jax.lax.cond(flat.sum() > most, some, lambda: flat)
    return jnp.nonzero(flat, size=most, fill_value=ended.size)[0]


def others(path: str, criteria: int) -> Queue:
    """The episodes in a file as comparators.

    Args:
        path: of the file, see `write_summaries`.
        criteria: how many the episodes have that will be compared with them.

    Raises:
        ValueError: there is no such file, or its episodes have other criteria.
    """
    phi = read_summaries(path)
    if phi.criteria.shape[1] != criteria:
        raise ValueError(
            f"learner.against is {path!r}, whose episodes have {phi.criteria.shape[1]} criteria; they must have {criteria}"
        )
    return push(empty_queue(jax.tree.map(lambda x: x[0], phi), phi.total.shape[0]), phi)


def room_for(num_envs: int, rollout_length: int, length: int, asked: int = 0) -> int:
    """How many episodes of a rollout are compared.

    Args:
        num_envs: parallel environments.
        rollout_length: steps of each.
        length: steps of a whole episode, or of a piece.
        asked: by a setting; 0 is as many as may end if all run their whole length, and no fewer than 256. Short episodes can be more: then `chosen`
            are so many of them.
    """
    return min(asked or max(num_envs * -(-rollout_length // length), 256), num_envs * rollout_length)


def spread(
    paid: Float[Array, "T N"],
    first: Bool[Array, "T N"],
    ended: Bool[Array, "T N"],
    pay: Literal["spread", "end"],
) -> Float[Array, "T N"]:
    """Rewards of steps. All that an episode is paid adds up to its payoff, whatever its length and however many rollouts it took.

    Args:
        paid: at the last steps of episodes.
        first: whether an episode begins with the step.
        ended: whether one ends with it.
        pay: ``end`` pays there; ``spread`` in equal parts at the episode's steps of this rollout.
    """
    if pay == "end":
        return paid

    def count(past: Array, begins: Array) -> tuple[Array, Array]:
        now = jnp.where(begins, 0, past) + 1
        return now, now

    _, steps = jax.lax.scan(count, jnp.zeros(first.shape[1:], jnp.int32), first)

    def back(later: Array, now: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        due, ends, many = now
        share = jnp.where(ends, due / many, later)
        return share, share

    _, shares = jax.lax.scan(
        back, jnp.zeros(first.shape[1:], jnp.float32), (paid, ended, steps), reverse=True
    )
    return shares


def check_comparators(config: SPOConfig, num_envs: int, most: int) -> None:
    """Raises ValueError: episodes of a subsample can't all have as many comparators, or groups don't fit."""
    if config.comparators == "subsample" and (config.number >= most or (config.number % 2 and most % 2)):
        raise ValueError(
            f"learner.number is {config.number}; of {most} episodes that are compared it must be fewer, and one of the two even"
        )
    if config.group == 1 or (config.group and num_envs % config.group):
        raise ValueError(
            f"learner.group is {config.group}; it must be at least 2 and divide num_envs, {num_envs}, or be 0"
        )
    if config.group and config.comparators != "batch":
        raise ValueError(
            f"learner.comparators is {config.comparators!r}; with learner.group it must be 'batch'"
        )
