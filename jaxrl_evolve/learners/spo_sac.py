"""SPO (Swamy et al. 2024, arXiv 2401.04056) on learners that learn from replay, such as SAC.

Episodes that end are compared with a queue of the newest, and the share of comparisons that each wins takes the place of its rewards, as in `spo`. In
replay it grows old: against today's policy the win of an old episode is worth less. So win rates are found anew (`spo_store`).

With a ``magnet``, values and the policy's loss take the divergence from a reference policy into account, as SAC's take the entropy: exact, of today's
policy, and not of actions in replay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.experience.layout import rows_for
from jaxrl_evolve.experience.relabelling import Relabel, Relabelled
from jaxrl_evolve.learners.learner import Learner, Store, UpdateFromStore, paid_otherwise
from jaxrl_evolve.learners.reference import Anchor
from jaxrl_evolve.learners.sac import sac
from jaxrl_evolve.learners.spo_environment import judgement, shown_with_time
from jaxrl_evolve.learners.spo_payoff import room_for
from jaxrl_evolve.learners.spo_sac_config import SPOSACConfig, SPOSACHyperparameters
from jaxrl_evolve.learners.spo_store import Judge, Judged
from jaxrl_evolve.learners.spo_time import Timekeeper
from jaxrl_evolve.objectives.objective import AnyObjective
from jaxrl_evolve.preferences.episodes import Watch
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.settings.checks import check
from jaxrl_evolve.trajectory import Trajectory

_SHARE = 16
"""Summaries are kept of so many times the episodes that the buffer holds if they run their whole length."""


class _Parts(NamedTuple):
    """What the functions of one learner read, all static.

    Attributes:
        inner: the learner inside.
        time: what it sees of the time.
        judge: who is compared with whom, and what steps are paid for it.
    """

    inner: Learner
    time: Timekeeper
    judge: Judge


def _update(
    parts: _Parts,
    key: Array,
    state: Any,
    trajectory: Trajectory,
    hp: Any,
    eta: Any,
    clock: Clock,
    store: Judged,
) -> tuple[Any, dict[str, Array], Judged]:
    key_labels, key_inner = jax.random.split(key)
    judge = parts.judge
    store, found = judge.judge(key_labels, store, parts.time.pieces(trajectory)[1])
    seen = Relabelled(store.replay, (store, hp.payoff_scale), judge.ready(store))
    shown = parts.time.shown_to_inner(trajectory)
    state, metrics, _ = cast(UpdateFromStore, parts.inner.update)(
        key_inner, state, shown, hp, eta, clock, seen
    )
    if judge.at_sample:
        asked = jnp.round(metrics.pop("asked") * metrics["gradient_steps"])
        store = dataclasses.replace(store, queries=store.queries.plus(asked))
    return state, {**metrics, **found, "queries": store.queries.total}, store


def self_play_from_replay(
    make: Callable[[Env, Relabel], Learner],
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: SPOSACConfig,
    oracle: Oracle | None = None,
    watch: Watch | None = None,
) -> Learner:
    """SPO on a learner whose store is a replay buffer.

    Args:
        make: the learner inside, for an environment whose observations have the time as a last element (with ``config.time``), and
            for rewards that are told when they are learned from. Its update takes a `Relabelled` and tells ``gradient_steps``.
        env: the environment.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: of it what is not SAC's, and ``capacity``.
        oracle: who prefers; the one that ``config.preference`` names by default.
        watch: what is seen of an episode; as in `spo.self_play` by default.

    Raises:
        ValueError: episodes have no known limit, the time can't be added to the observations, or the oracle is none.
    """
    found = judgement(config, env, num_envs, oracle, watch)
    length = config.segment or found.horizon
    rows = rows_for(config.capacity, num_envs, rollout_length)
    kept = config.episodes or _SHARE * -(-rows // length)
    # As many as a rollout can end, so that none is written over another of its own rollout.
    kept = max(min(kept, rows), rollout_length)
    again = -(-kept * num_envs // config.relabel_every) if config.relabel == "periodic" else 0
    most = room_for(num_envs, rollout_length, length)
    judge = Judge(
        found.oracle,
        found.watch,
        config.soft,
        config.pay,
        config.number,
        kept,
        most,
        again,
        config.relabel == "sample",
        config.queries,
    )
    inner = make(shown_with_time(env) if config.time else env, judge.relabel)
    if inner.store is None:
        raise ValueError(f"the learner {inner.name!r} keeps no experience; spo.self_play is for such")
    time = Timekeeper(inner, found.horizon, config.time, config.segment)
    return paid_otherwise(
        inner,
        f"spo-{inner.name}",
        act=time.act,
        update=partial(_update, _Parts(inner, time, judge)),
        initial_memory=time.memory,
        store=Store(partial(judge.init, inner.store, time), partial(judge.add, inner.store, time)),
    )


def _weight(hp: SPOSACHyperparameters) -> Any:
    return hp.payoff_scale * hp.magnet


def _rate(hp: SPOSACHyperparameters) -> Any:
    return hp.reference_rate


def spo_sac(
    env: Env,
    num_envs: int,
    rollout_length: int,
    config: SPOSACConfig | None = None,
    hp: SPOSACHyperparameters | None = None,
    objective: AnyObjective | None = None,
    oracle: Oracle | None = None,
    watch: Watch | None = None,
) -> Learner:
    """SPO on SAC.

    Args:
        env: the environment.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.
        config: static settings.
        hp: default hyperparameters.
        objective: must be None; SAC has losses of its own.
        oracle: see `self_play_from_replay`.
        watch: see `self_play_from_replay`.

    Raises:
        ValueError: a setting is not allowed; see `self_play_from_replay`.
    """
    config = SPOSACConfig() if config is None else config
    hp = SPOSACHyperparameters() if hp is None else hp
    check(config, "config")
    check(hp, "hp")
    anchor = Anchor(config.reference, config.reference_every, _weight, _rate) if config.magnetic else None
    make = lambda env, relabel: sac(env, num_envs, rollout_length, config, hp, objective, relabel, anchor)
    return self_play_from_replay(make, env, num_envs, rollout_length, config, oracle, watch)
