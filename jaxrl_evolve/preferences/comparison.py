"""Win rates: how often each of many beats the others.

Every unordered pair is asked once and its label mirrored. So the win rates of a batch have the mean 1/2 whatever the
oracle, its noise and its ties. Nobody is compared with itself. A summary with a number that is not finite is asked about
nothing: it spoils its own row and column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.preferences.oracle import Oracle, label_from
from jaxrl_evolve.settings.checks import whole

_AT_ONCE = 2**18
"""Pairs that are compared side by side: rows of the matrix of all pairs go by in blocks that stay in the cache of a CPU."""


class WinRates(NamedTuple):
    """What came of comparing ``N``.

    Attributes:
        rate: float ``[N]``, the share of comparisons that each won, ties as half; NaN for who was compared with nobody.
        compared: int32 ``[N]``, with how many.
        queries: int32, how many labels were asked for.
    """

    rate: Array
    compared: Array
    queries: Array


Compare = Callable[[Oracle, Array, Any, Any], WinRates]
"""``(oracle, key, summaries [N, ...], context) -> WinRates``."""


def payoff(rates: WinRates) -> Array:
    """Win rates in advantage units, ``2 w - 1``; 0 for who was compared with nobody."""
    return jnp.where(rates.compared > 0, 2.0 * rates.rate - 1.0, 0.0)


def winrate_matrix(
    oracle: Oracle, key: Array, phi: Any, context: Any = None, soft: bool = False
) -> Float[Array, "N N"]:
    """Labels of all pairs, ``[i, j]`` of ``i`` against ``j``.

    Args:
        oracle: that is asked.
        key: of the labels.
        phi: summaries ``[N, ...]``.
        context: that all share.
        soft: probabilities instead of hard labels.

    Returns:
        1/2 on the diagonal; NaN in the rows and columns of summaries that are not finite.
    """
    number = _number(phi)
    prob = jax.vmap(lambda a: jax.vmap(lambda b: oracle.prob(a, b, context))(phi))(phi)
    told = prob if soft else label_from(oracle, jax.random.uniform(key, prob.shape, prob.dtype), prob)
    upper = jnp.triu(jnp.ones((number, number), bool), 1)
    mirrored = jnp.where(upper, told, jnp.where(upper.T, 1.0 - told.T, 0.5))
    fine = finite(phi)
    return jnp.where(fine[:, None] & fine[None, :], mirrored, jnp.nan)


def rates_of(matrix: Float[Array, "N N"]) -> WinRates:
    """Win rates of a matrix of labels, without its diagonal and what is NaN."""
    there = ~jnp.isnan(matrix) & ~jnp.eye(matrix.shape[0], dtype=bool)
    return _rates(jnp.where(there, matrix, 0.0).sum(1), there.sum(1), there.sum() // 2)


def in_batch(oracle: Oracle, key: Array, phi: Any, context: Any = None, *, soft: bool = False) -> WinRates:
    """Each of ``N`` against all others: ``N (N - 1) / 2`` queries."""
    number = _number(phi)
    block = min(number, max(1, _AT_ONCE // number))
    column, fine = jnp.arange(number), finite(phi)

    def rows(total: Any, first: Array) -> tuple[Any, tuple[Array, Array]]:
        """Pairs of which the first is in a block of rows: what their seconds won is added up, what they won comes out."""
        row = first + jnp.arange(block)
        at = jnp.minimum(row, number - 1)
        ask = lambda a: jax.vmap(lambda b: oracle.prob(a, b, context))(phi)
        prob = jax.vmap(ask)(jax.tree.map(lambda x: x[at], phi))
        drawing = jax.random.fold_in(key, first)
        told = prob if soft else label_from(oracle, jax.random.uniform(drawing, prob.shape, prob.dtype), prob)
        there = (row[:, None] < column[None, :]) & fine[at][:, None] & fine[None, :] & ~jnp.isnan(told)
        won, lost = jnp.where(there, told, 0.0), jnp.where(there, 1.0 - told, 0.0)
        return (total[0] + lost.sum(0), total[1] + there.sum(0)), (won.sum(1), there.sum(1))

    single = jax.eval_shape(oracle.prob, *(jax.tree.map(lambda x: x[0], phi),) * 2, context)
    zero = jnp.zeros(number, single.dtype), jnp.zeros(number, jnp.arange(1).sum().dtype)
    (lost, seconds), (won, firsts) = jax.lax.scan(rows, zero, jnp.arange(0, number, block))
    won, firsts = (x.ravel()[:number] for x in (won, firsts))
    return _rates(won + lost, firsts + seconds, firsts.sum())


def subsample(
    oracle: Oracle, key: Array, phi: Any, context: Any = None, *, comparators: int, soft: bool = False
) -> WinRates:
    """Each of ``N`` against the same number of others, who are drawn: ``N comparators / 2`` queries.

    Summaries that are not finite are none of the ``N``. Of those that are left each is compared with all others where there are fewer than
    ``comparators``; where both numbers turn out odd, each has one comparison less, or with one comparator one of them has none. So the mean is 1/2.

    Raises:
        ValueError: there are not so many others, or both numbers are odd: then somebody would have one comparison less.
    """
    number, comparators = _number(phi), whole("comparators", comparators, 1)
    if comparators >= number:
        raise ValueError(
            f"comparators is {comparators}; of {number} trajectories each has {number - 1} others"
        )
    if comparators % 2 and number % 2:
        raise ValueError(
            f"comparators is {comparators} of {number} trajectories; one of the two must be even, so that all have as many"
        )
    shuffling, asking = jax.random.split(key)
    order = jax.random.permutation(shuffling, number)
    order = order[jnp.argsort(~finite(phi)[order], stable=True)]  # those that are not finite stand last
    shuffled = jax.tree.map(lambda x: x[order], phi)
    found = _circle(oracle, asking, shuffled, context, comparators, soft)
    back = jnp.argsort(order)
    return WinRates(found.rate[back], found.compared[back], found.queries)


def random_pairs(
    oracle: Oracle, key: Array, phi: Any, context: Any = None, *, soft: bool = False
) -> WinRates:
    """Each of an even ``N`` against one other: ``N / 2`` queries."""
    return subsample(oracle, key, phi, context, comparators=1, soft=soft)


def grouped(compare: Compare, oracle: Oracle, key: Array, phi: Any, context: Any = None) -> WinRates:
    """Comparisons inside groups that share a context, such as a start or a prompt.

    Args:
        compare: of one group.
        oracle: that is asked.
        key: of the labels.
        phi: summaries ``[groups, members, ...]``.
        context: of each group, ``[groups, ...]``, or None.

    Returns:
        `WinRates` ``[groups, members]``, with the queries of all.

    Raises:
        ValueError: a group has one member, who has nobody to be compared with.
    """
    groups, members = jax.tree.leaves(phi)[0].shape[:2]
    if members < 2:
        raise ValueError(f"phi has {groups} groups of {members}; a group must have at least 2 members")
    keys = jax.random.split(key, groups)
    along = None if context is None else 0
    found = jax.vmap(lambda k, p, c: compare(oracle, k, p, c), in_axes=(0, 0, along))(keys, phi, context)
    return WinRates(found.rate, found.compared, found.queries.sum())


@struct.dataclass
class Queue:
    """The last summaries, oldest overwritten first.

    Attributes:
        phi: ``[B, ...]``.
        born: int32 ``[B]``, when each came in.
        pushed: int32, how many ever came in.
    """

    phi: Any
    born: Int[Array, " B"]
    pushed: Int[Array, ""]


def empty_queue(example: Any, size: int) -> Queue:
    """A queue for ``size`` summaries like ``example``, which has no batch axis."""
    size = whole("size", size, 1)
    room = jax.tree.map(lambda x: jnp.zeros((size, *jnp.shape(x)), jnp.asarray(x).dtype), example)
    return Queue(room, jnp.zeros(size, jnp.int32), jnp.int32(0))


def push(queue: Queue, phi: Any, now: Array | int = 0, there: Array | None = None) -> Queue:
    """The queue with ``phi [N, ...]`` in it, or with those of it that are ``there``; of more than it holds, the last."""
    size, number = queue.born.shape[0], jax.tree.leaves(phi)[0].shape[0]
    there = jnp.ones(number, bool) if there is None else there
    rank, count = jnp.cumsum(there) - 1, there.sum(dtype=jnp.int32)
    place = jnp.where(there & (rank >= count - size), (queue.pushed + rank) % size, size)
    put = lambda room, new: room.at[place].set(new, mode="drop")
    born = queue.born.at[place].set(jnp.asarray(now, jnp.int32), mode="drop")
    return Queue(jax.tree.map(put, queue.phi, phi), born, queue.pushed + count)


def held(queue: Queue) -> Array:
    """bool ``[B]``: which places of the queue are taken."""
    return jnp.arange(queue.born.shape[0]) < queue.pushed


def mean_age(queue: Queue, now: Array | int) -> Array:
    """How long ago the comparators came in, on average; 0 of an empty queue."""
    there = held(queue)
    return jnp.where(there, now - queue.born, 0).sum() / jnp.maximum(there.sum(), 1)


def against_queue(
    oracle: Oracle, key: Array, phi: Any, queue: Queue, context: Any = None, *, soft: bool = False
) -> WinRates:
    """Each of ``N`` against all in a queue: ``N B`` queries. Against an empty one nobody has a rate, and nothing is asked.

    The mean is above 1/2 while newcomers are better than those before them.
    """
    ask = lambda a: jax.vmap(lambda b: oracle.prob(a, b, context))(queue.phi)
    prob = jax.vmap(ask)(phi)
    told = prob if soft else label_from(oracle, jax.random.uniform(key, prob.shape, prob.dtype), prob)
    there = finite(phi)[:, None] & (finite(queue.phi) & held(queue))[None, :] & ~jnp.isnan(told)
    return _rates(jnp.where(there, told, 0.0).sum(1), there.sum(1), there.sum())


def finite(phi: Any) -> Array:
    """bool ``[N]``: which of the summaries have finite numbers only."""
    flat = [jnp.isfinite(x).reshape(x.shape[0], -1).all(1) for x in map(jnp.asarray, jax.tree.leaves(phi))]
    return jnp.stack(flat).all(0)


def only(there: Bool[Array, " N"], phi: Any, value: float = float("nan")) -> Any:
    """Summaries ``[N, ...]`` with a value in place of their numbers where they are not ``there``: if it is no number, nobody is compared with them.
    Whole numbers, such as marks, stay.
    """

    def hide(x: Array) -> Array:
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        return jnp.where(there.reshape(there.shape + (1,) * (x.ndim - 1)), x, value)

    return jax.tree.map(hide, phi)


def _circle(oracle: Oracle, key: Array, phi: Any, context: Any, degree: int, soft: bool) -> WinRates:
    """Those that are finite, who come first, stand in a circle, and each is compared with the ``degree / 2`` to its right; so all have ``degree``
    comparisons and no pair is asked twice. Of an odd degree in an even circle the last are those who stand opposite.

    That is half of the matrix, and needs no index of pairs.
    """
    here, fine = jnp.arange(_number(phi)), finite(phi)
    number = jnp.maximum(fine.sum(), 1)
    distance = jnp.arange(1, degree // 2 + 1)[:, None]  # [distances, 1]
    # Beyond half of the circle are those who ask themselves, and at half of it half of all need to ask.
    asks = (2 * distance < number) | ((2 * distance == number) & (here < distance))
    if degree % 2:
        farthest = jnp.full((1, 1), number // 2, distance.dtype)
        paired = (number > degree) & ((number % 2 == 0) | (degree == 1)) & (here[None] < farthest)
        distance, asks = jnp.concatenate([distance, farthest]), jnp.concatenate([asks, paired])
    place = (here + distance) % number  # [distances, N]
    right = jax.tree.map(lambda x: x[place], phi)
    ask = jax.vmap(jax.vmap(lambda a, b: oracle.prob(a, b, context)), in_axes=(None, 0))
    prob = ask(phi, right)
    told = prob if soft else label_from(oracle, jax.random.uniform(key, prob.shape, prob.dtype), prob)
    there = fine & asks & ~jnp.isnan(told)
    back = (here - distance) % number  # who has me on their right
    mirror = lambda x: jnp.take_along_axis(x, back, 1)
    asked = fine & mirror(there)
    won, lost = jnp.where(there, told, 0.0), jnp.where(asked, 1.0 - mirror(told), 0.0)
    return _rates((won + lost).sum(0), (there + asked.astype(jnp.int32)).sum(0), there.sum())


def _rates(won: Array, compared: Array, queries: Array) -> WinRates:
    rate = jnp.where(compared > 0, won / jnp.maximum(compared, 1), jnp.nan)
    return WinRates(rate, compared.astype(jnp.int32), queries.astype(jnp.int32))


def _number(phi: Any) -> int:
    number = jax.tree.leaves(phi)[0].shape[0]
    if number < 2:
        raise ValueError(f"phi has {number} trajectories; at least 2 can be compared")
    return number
