"""SPO's replay: steps know their episode, episodes what they were paid, and payoffs are found anew as comparators change.

Beside the replay buffer lie summaries of the episodes in it, a ring for each environment. An episode is compared with the queue of comparators when it
ends, and again in turn with the others that are kept, since one that won a year ago may lose today. A step is looked up when it is drawn, so
that nothing is written to the steps of an episode, however many they are, and no update costs more than another.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.experience.relabelling import Relabelled, Rewards
from jaxrl_evolve.experience.replay import Drawn, Replay
from jaxrl_evolve.learners.learner import Store
from jaxrl_evolve.learners.spo_payoff import chosen
from jaxrl_evolve.learners.spo_time import Timekeeper
from jaxrl_evolve.preferences.comparison import (
    Queue,
    WinRates,
    against_queue,
    empty_queue,
    finite,
    mean_age,
    only,
    payoff,
    push,
)
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.episodes import Watch, lived, nothing_lived
from jaxrl_evolve.preferences.oracle import Marked, Oracle, restricted
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class Judged:
    """A replay buffer, and what came of comparing the episodes in it; ``S`` episodes of each environment are kept.

    Attributes:
        replay: steps, as the learner inside sees them.
        episode: int32 ``[rows, N]``, of each step how many episodes of its environment had ended before.
        running: summaries ``[N]`` of the episodes that run.
        ended: int32 ``[N]``, episodes that ended so far.
        held: summaries ``[S, N]``, of episode ``i`` at ``i % S``; each with a mark that no other episode has.
        born: int32 ``[S, N]``, in which update each ended; -1 where there is none.
        payoff: float32 ``[S, N]``, ``2 w - 1`` of the last comparison.
        judged: int32 ``[S, N]``, in which update that was; -1 of those that were not compared yet.
        queue: of comparators.
        updates: int32 scalar, updates made.
        queries: labels asked for so far.
    """

    replay: Replay
    episode: Int[Array, "rows N"]
    running: Any
    ended: Int[Array, " N"]
    held: Marked
    born: Int[Array, "S N"]
    payoff: Float[Array, "S N"]
    judged: Int[Array, "S N"]
    queue: Queue
    updates: Int[Array, ""]
    queries: Count


class Judge(NamedTuple):
    """What is static.

    Attributes:
        oracle: who prefers.
        watch: what is seen of an episode.
        soft: probabilities instead of labels.
        pay: in equal parts, or at the last step.
        number: size of the queue.
        kept: ``S``.
        most: how many that ended in one rollout are compared in its update.
        again: how many are compared once more in each update.
        at_sample: whether steps are compared when they are drawn.
        budget: the most labels that are asked for, 0 without a bound.
    """

    oracle: Oracle
    watch: Watch
    soft: bool
    pay: Literal["spread", "end"]
    number: int
    kept: int
    most: int
    again: int
    at_sample: bool
    budget: int = 0

    def init(self, inner: Store, time: Timekeeper, example: Trajectory) -> Judged:
        """An empty store, for trajectories like the example; ``inner`` is the store of the learner inside."""
        replay, envs = inner.init(jax.eval_shape(partial(_shown, time), example)), example.reward.shape[1]
        shapes = jax.eval_shape(partial(nothing_lived, self.watch), example)
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        room = jax.tree.map(lambda x: jnp.zeros((self.kept, *x.shape), x.dtype), nothing)
        none = lambda: jnp.full((self.kept, envs), -1, jnp.int32)
        held = Marked(room, none())
        return Judged(
            replay=replay,
            episode=jnp.full(replay.reward.shape, -1, jnp.int32),
            running=nothing,
            ended=jnp.zeros((envs,), jnp.int32),
            held=held,
            born=none(),
            payoff=jnp.zeros((self.kept, envs), jnp.float32),
            judged=none(),
            queue=empty_queue(jax.tree.map(lambda x: x[0, 0], held), self.number),
            updates=jnp.zeros((), jnp.int32),
            queries=Count.none(),
        )

    def add(self, inner: Store, time: Timekeeper, store: Judged, t: Trajectory) -> Judged:
        """The store with a rollout, and with the episodes that ended in it, which are not compared yet."""
        envs = t.reward.shape[1]
        begins, ends = time.pieces(t)
        running, phi = lived(self.watch, store.running, dataclasses.replace(t, first=begins))
        number = store.ended + jnp.cumsum(ends, 0, dtype=jnp.int32) - ends
        column = jnp.broadcast_to(jnp.arange(envs, dtype=jnp.int32), ends.shape)
        place = jnp.where(ends, number % self.kept, self.kept)  # one beyond the last is dropped
        put = lambda room, new: room.at[place, column].set(new, mode="drop")
        items = Marked(phi, number * envs + column)
        flat = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), items)
        none = jnp.full(ends.shape, -1, jnp.int32)
        return dataclasses.replace(
            store,
            replay=inner.add(store.replay, _shown(time, t)),
            episode=jax.lax.dynamic_update_slice_in_dim(store.episode, number, store.replay.cursor, 0),
            running=running,
            ended=store.ended + ends.sum(0, dtype=jnp.int32),
            held=jax.tree.map(put, store.held, items),
            born=put(store.born, store.updates),
            judged=put(store.judged, none),
            queue=push(store.queue, flat, store.updates, ends.ravel() & finite(flat.phi)),
        )

    def judge(self, key: Array, store: Judged, ends: Bool[Array, "T N"]) -> tuple[Judged, dict[str, Array]]:
        """The store after an update's comparisons: of what ``ends`` in its rollout, which is in the store, and of those whose turn
        it is. And metrics.
        """
        now, size, envs = store.updates, store.born.size, ends.shape[1]
        number = store.ended - ends.sum(0) + jnp.cumsum(ends, 0) - ends
        place = jnp.where(ends, number % self.kept * envs + jnp.arange(envs), size)
        fresh = jnp.append(place.ravel(), size)[chosen(key, ends, self.most)]
        turn = (now * self.again + jnp.arange(self.again)) % size
        new = store.born.ravel() == now
        # What has just ended is in the first part, or waits for its turn.
        place = jnp.concatenate([fresh, jnp.where(new[turn], size, turn)])
        at = jnp.minimum(place, size - 1)
        there = (place < size) & (store.born.ravel()[at] >= 0)
        items = jax.tree.map(lambda x: x.reshape((size, *x.shape[2:]))[at], store.held)
        rates = self._compared(key, only(there, items), store.queue)
        affordable = store.queries.plus(rates.queries).within(self.budget) if self.budget else True
        told = (rates.compared > 0) & affordable
        put = lambda room, value: (
            room.ravel().at[jnp.where(told, place, size)].set(value, mode="drop").reshape(room.shape)
        )
        newly = told[: self.most]
        rate = jnp.where(newly, rates.rate[: self.most], 0.0).sum() / jnp.maximum(newly.sum(), 1)
        judged = put(store.judged, now)
        after = dataclasses.replace(
            store,
            payoff=put(store.payoff, payoff(rates).astype(jnp.float32)),
            judged=judged,
            updates=now + 1,
            queries=store.queries.plus(jnp.where(affordable, rates.queries, 0)),
        )
        known = judged >= 0
        many = jnp.maximum(known.sum(), 1)
        return after, {
            "win_rate": jnp.where(newly.any(), rate, 0.5).astype(jnp.float32),
            "payoff_spread": jnp.sqrt(jnp.where(known, jnp.square(after.payoff), 0.0).sum() / many),
            "label_age": (jnp.where(known, now - judged, 0).sum() / many).astype(jnp.float32),
            "comparator_age": mean_age(store.queue, now).astype(jnp.float32),
        }

    def _compared(self, key: Array, items: Marked, queue: Queue) -> WinRates:
        return against_queue(restricted(self.oracle, alike=False), key, items, queue, soft=self.soft)

    def ready(self, store: Judged) -> Bool[Array, ""]:
        """Whether a step could be learned from."""
        return (store.judged >= 0).any() if not self.at_sample else store.ended.sum() > 1

    def relabel(self, key: Array, drawn: Drawn, seen: Relabelled) -> Rewards:
        """Rewards of steps that were drawn; ``told`` is the store, and what winning every comparison is paid."""
        store, scale = seen.told
        rows, envs = store.episode.shape
        row, column = drawn.place // envs, (drawn.place % envs)[:, None]
        steps = row[:, None] + jnp.arange(drawn.window.reward.shape[1])
        number = store.episode[steps % rows, column]
        place = number % self.kept
        since = store.ended[column] - number  # how many have ended since it began
        there = (number >= 0) & (since >= 1) & (since <= self.kept)
        metrics: dict[str, Array] = {}
        if self.at_sample:
            items = jax.tree.map(lambda x: x[place, column].reshape((-1, *x.shape[2:])), store.held)
            rates = self._compared(key, only(there.ravel(), items), store.queue)
            won, known = payoff(rates).reshape(there.shape), (rates.compared > 0).reshape(there.shape)
            metrics["asked"] = rates.queries.astype(jnp.float32)
        else:
            won, known = store.payoff[place, column], there & (store.judged[place, column] >= 0)
        if self.pay == "end":
            share = (store.episode[(steps + 1) % rows, column] != number).astype(jnp.float32)
        else:
            share = 1.0 / jnp.maximum(store.held.phi.length[place, column], 1.0)
        reward = jnp.where(known, scale * won * share, 0.0).astype(jnp.float32)
        metrics["judged"] = known.all(1).mean(dtype=jnp.float32)
        return Rewards(reward, known.all(1), metrics)


def _shown(time: Timekeeper, t: Trajectory) -> Trajectory:
    """As steps are kept: without what the environment paid."""
    return dataclasses.replace(time.shown_to_inner(t), reward=jnp.zeros_like(t.reward))
