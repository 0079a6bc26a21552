"""Self-play preference optimisation (SPO; Swamy et al. 2024, arXiv 2401.04056) as a wrapper of a learner.

Episodes that end in a rollout are compared, by summaries of a few numbers, and the share of comparisons that each wins takes the place of the
environment's rewards before the learner inside sees them: self-play, since all are its own. Episodes are paid ``2 w - 1``, so a batch pays
nothing in all and what is alike pays nothing at all. A time limit ends an episode as any other end does: there is nothing to be won after it.

With a ``magnet``, steps are also paid ``-magnet (log pi - log reference)``. Towards an average of the policies of before, that lets the last policy settle
where preferences go in circles, and the plain method's only goes round.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_evolve import random
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import Learner, Update, paid_otherwise
from jaxrl_evolve.learners.ppo import ppo
from jaxrl_evolve.learners.reference import Reference, follow
from jaxrl_evolve.learners.snapshots import Snapshots, offer
from jaxrl_evolve.learners.spo_config import SPOConfig, SPOHyperparameters
from jaxrl_evolve.learners.spo_environment import judgement, shown_with_time
from jaxrl_evolve.learners.spo_oracles import ORACLE, by_oracle, chosen_oracles, told_of
from jaxrl_evolve.learners.spo_payoff import (
    Budget,
    afforded,
    check_comparators,
    compared,
    others,
    room_for,
    spread,
)
from jaxrl_evolve.learners.spo_time import Timekeeper
from jaxrl_evolve.objectives.objective import AnyObjective
from jaxrl_evolve.preferences.comparison import Queue, empty_queue, finite, mean_age, only, push
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.episodes import Watch, kinds_of, lived, nothing_lived
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class SPOState:
    """State of an SPO learner.

    Attributes:
        learner: of the learner inside.
        running: summaries ``[N]`` of the episodes that run, zeros of those that are spoiled.
        spoiled: bool ``[N]``, whether something in the running episode was no number: it will be compared with nobody.
        queue: of comparators, or ``()``.
        reference: the policy of the magnet, or ``()``.
        updates: int32 scalar, updates made.
        queries: labels asked for so far.
        snapshots: policies of before, or ``()``.
        budget: of queries, or ``()`` without a bound.
    """

    learner: Any
    running: Any
    spoiled: Bool[Array, " N"]
    queue: Any
    reference: Any
    updates: Int[Array, ""]
    queries: Count
    snapshots: Any = ()
    budget: Any = ()


class _Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        config: static settings.
        inner: the learner inside.
        time: what it sees of the time.
        oracle: who prefers.
        watch: what is seen of an episode.
        most: how many episodes of a rollout are compared.
        against: others with whom all are compared, or None.
        oracles: names of those that ``oracle`` is made of, where a curriculum chooses among several.
    """

    config: SPOConfig
    inner: Learner
    time: Timekeeper
    oracle: Oracle
    watch: Watch
    most: int
    against: Queue | None = None
    oracles: tuple[str, ...] = ()


def _init(parts: _Parts, example: Trajectory, key: Array, hp: Any) -> SPOState:
    state = parts.inner.init(key, hp)
    running = nothing_lived(parts.watch, example)
    one = jax.tree.map(lambda x: x[0], running)
    queue = empty_queue(one, parts.config.number) if parts.config.comparators == "queue" else ()
    actor, kept = parts.inner.actor(state), parts.config.snapshots
    reference = Reference.of(actor) if parts.config.magnetic else ()
    snapshots = Snapshots.of(actor, kept) if kept else ()
    budget = Budget.of(most) if (most := parts.config.queries) else ()
    begun = jnp.zeros((), jnp.int32), Count.none()
    return SPOState(state, running, ~finite(running), queue, reference, *begun, snapshots, budget)


def _alike(group: int, updates: Array, length: Float[Array, "T N"]) -> Int[Array, "T N"]:
    """A number that steps share where they are in the same group and their pieces began in the same step."""
    steps, number = length.shape
    begun = updates * steps + jnp.arange(steps)[:, None] - length.astype(jnp.int32)
    return begun * (number // group) + jnp.arange(number)[None, :] // group


def _drawn_to(parts: _Parts, key: Array, reference: Any, t: Trajectory) -> Float[Array, "T N"]:
    """How much more likely the policy's actions were than the reference's, in nats."""
    length, number = t.reward.shape
    flat = lambda x: x.reshape((length * number, *x.shape[2:]))
    obs, first, action = jax.tree.map(flat, (t.obs, t.first, t.action))
    memory = parts.inner.initial_memory(length * number)
    said = parts.inner.act(reference, obs, first, memory, key, "sample")[2]
    if said.distribution is None:
        raise ValueError(
            f"the learner {parts.inner.name!r} tells no distribution of its actions; learner.magnetic must be False"
        )
    return t.policy.log_prob - said.distribution.log_prob(action).reshape((length, number))


def _update(
    parts: _Parts, key: Array, state: SPOState, trajectory: Trajectory, hp: Any, eta: Any, clock: Clock
) -> tuple[SPOState, dict[str, Array]]:
    config, t = parts.config, trajectory
    key_labels, key_reference, key_inner = jax.random.split(key, 3)
    begins, ends = parts.time.pieces(t)
    before = only(~state.spoiled, state.running)
    running, phi = lived(parts.watch, before, dataclasses.replace(t, first=begins))
    # Kept apart from the sums: a state in which something is no number is not taken over.
    spoiled = ~finite(running)
    comparators = state.queue if config.comparators == "queue" else parts.against
    if config.comparators == "subsample":
        comparators = config.number
    group = _alike(config.group, state.updates, phi.length) if config.group else None
    judges = t.info[ORACLE] if parts.oracles else None
    found = compared(parts.oracle, key_labels, phi, ends, parts.most, comparators, config.soft, group, judges)
    found, budget, learns = afforded(found, state.queries, state.budget)
    reward = hp.payoff_scale * spread(found.payoff, begins, ends, config.pay)
    reference = begin = state.reference
    seen = parts.time.shown_to_inner(t)
    metrics = {} if judges is None else by_oracle(found, judges, parts.oracles)
    if parts.config.magnetic:
        # The first policy is the one that played the first rollout, which may have started from trained weights.
        begun = jax.tree.map(
            partial(jnp.where, state.updates == 0), parts.inner.actor(state.learner), state.reference.actor
        )
        reference = begin = dataclasses.replace(state.reference, actor=begun)
        apart = _drawn_to(parts, key_reference, begun, seen)
        reward = reward - hp.payoff_scale * hp.magnet * apart
        metrics["reference_kl"] = apart.mean()
    inner, told = cast(Update, parts.inner.update)(
        key_inner, state.learner, dataclasses.replace(seen, reward=reward), hp, eta, clock
    )
    updates, queue, queries = state.updates + 1, state.queue, state.queries.plus(found.queries)
    if isinstance(queue, Queue):
        metrics["comparator_age"] = mean_age(queue, state.updates).astype(jnp.float32)
        queue = push(queue, found.phi, state.updates, finite(found.phi))
    if parts.config.magnetic:
        actor = parts.inner.actor(inner)
        reference = follow(
            config.reference, reference, actor, hp.reference_rate, config.reference_every, updates, clock
        )
    snapshots = state.snapshots
    if config.snapshots:
        drawing = jax.random.fold_in(key, random.KeyTag.SNAPSHOTS)
        snapshots = offer(drawing, snapshots, parts.inner.actor(inner))
    # Nothing is learned before anybody was compared, and what critics err by without payoffs would look like advantages; nor when labels have run out.
    before = (state.learner, begin, state.snapshots, jax.tree.map(jnp.zeros_like, told))
    after = (inner, reference, snapshots, told)
    inner, reference, snapshots, told = jax.tree.map(partial(jnp.where, learns & queries.some), after, before)
    metrics |= {
        "win_rate": found.win_rate,
        "payoff_spread": jnp.sqrt(jnp.square(found.payoff).sum() / jnp.maximum(found.compared, 1.0)),
        "compared": found.compared / jnp.maximum(ends.sum(), 1),
        "queries": queries.total,
    }
    running = only(~spoiled, running, 0.0)
    state = SPOState(inner, running, spoiled, queue, reference, updates, queries, snapshots, budget)
    return state, {**told, **metrics}


def self_play(
    make: Callable[[Env], Learner],
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: SPOConfig,
    oracle: Oracle | Mapping[str, Oracle] | None = None,
    watch: Watch | None = None,
) -> Learner:
    """SPO on any learner without a store; `spo_sac.self_play_from_replay` is for those with one.

    Args:
        make: the learner inside, for an environment whose observations have the time as a last element (with ``config.time``).
        env: the environment.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``; episodes that are longer are paid where they end.
        config: of it what is not PPO's.
        oracle: who prefers; the one that ``config.preference`` names by default. Several by name (`SPOConfig.oracles`) need an environment
            whose ``info["oracle"]`` says which of them judges an episode, such as `jaxrl_envs.variants`.
        watch: what is seen of an episode; by default its return, effort and length as criteria, and the first two observed numbers as its place.

    Raises:
        ValueError: there are fewer than two trajectories, episodes have no known limit, the time can't be added to the observations, or the
            oracle is none.
    """
    if num_envs < 2:
        raise ValueError(f"num_envs is {num_envs}; at least 2 trajectories can be compared")
    oracle = chosen_oracles(config, oracle, env)
    names = tuple(oracle) if isinstance(oracle, Mapping) else ()
    oracle, watch, horizon, example = judgement(config, env, num_envs, oracle, watch)
    most = room_for(num_envs, rollout_length, config.segment or horizon, config.episodes)
    check_comparators(config, num_envs, most)
    kinds = kinds_of(watch, example)
    against = others(config.against, kinds) if config.against else None
    inner = make(shown_with_time(env) if config.time else env)
    if inner.store is not None:
        raise ValueError(
            f"the learner {inner.name!r} keeps experience of its own, whose rewards would be those of before; that is what "
            "spo_sac.self_play_from_replay is for"
        )
    time = Timekeeper(inner, horizon, config.time, config.segment)
    parts = _Parts(config, inner, time, oracle, watch, most, against, names)
    return paid_otherwise(
        inner,
        f"spo-{inner.name}",
        init=partial(_init, parts, example),
        actor=lambda state: inner.actor(state.learner),
        act=time.act,
        update=partial(_update, parts),
        initial_memory=time.memory,
        adopt=None if inner.adopt is None else partial(_adopt, inner),
        tells=told_of(names),
    )


def _adopt(inner: Learner, state: SPOState, other: SPOState) -> SPOState:
    assert inner.adopt is not None
    return dataclasses.replace(state, learner=inner.adopt(state.learner, other.learner))


def spo(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: SPOConfig | None = None,
    hp: SPOHyperparameters | None = None,
    objective: AnyObjective | None = None,
    oracle: Oracle | Mapping[str, Oracle] | None = None,
    watch: Watch | None = None,
) -> Learner:
    """SPO on PPO.

    Args:
        env: the environment.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: of PPO.
        oracle: see `self_play`.
        watch: see `self_play`.

    Raises:
        ValueError: a setting is not allowed; see `self_play`.
    """
    config = SPOConfig() if config is None else config
    hp = SPOHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    if config.network.memory != "none" and config.magnetic:
        raise ValueError(
            f"learner.network.memory is {config.network.memory!r}; with learner.magnetic it must be 'none'"
        )
    make = lambda env: ppo(env, num_envs, rollout_length, config, hp, objective)
    return self_play(make, env, num_envs, rollout_length, config, oracle, watch)
