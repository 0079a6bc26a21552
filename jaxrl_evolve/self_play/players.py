"""Policies of trained runs as players whose episodes are judged: the last one, or the average of many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.learners.spo_environment import time_limit
from jaxrl_evolve.preferences.count import Count
from jaxrl_evolve.preferences.criteria import DEFAULT
from jaxrl_evolve.preferences.episodes import Watch, lived, nothing_lived, watched
from jaxrl_evolve.preferences.named import oracle_from_name
from jaxrl_evolve.preferences.oracle import Oracle
from jaxrl_evolve.preferences.summary import Summary
from jaxrl_evolve.runs.evaluation import check_mode
from jaxrl_evolve.runs.rollout import rollout
from jaxrl_evolve.storage.steps import entries
from jaxrl_evolve.training.experiment import identity
from jaxrl_evolve.training.restore import Trained, load

Which = Literal["last", "average", "snapshots", "checkpoints"]


class Player(NamedTuple):
    """A policy, or several of which one is drawn for each episode.

    Attributes:
        label: for tables.
        trained: the run that it is from.
        actors: what acting reads of the learner, leaves ``[K, ...]``.
    """

    label: str
    trained: Trained
    actors: Any

    @property
    def count(self) -> int:
        """How many policies there are."""
        return jax.tree.leaves(self.actors)[0].shape[0]


def steps_of(folder: str | os.PathLike[str]) -> list[int]:
    """Checkpoints of a run folder, by their numbers of updates."""
    return sorted({step for step, _ in entries(Path(folder) / "checkpoints")})


def find_player(trained: Trained, run: int, which: Which = "last", label: str = "") -> Player:
    """One run's policy.

    Args:
        trained: the runs of a folder.
        run: its number, from 0.
        which: ``last`` is that of the checkpoint; ``average`` the moving average that a magnetic learner keeps; ``snapshots`` the uniform
            sample of all policies that a learner with ``learner.snapshots`` keeps; ``checkpoints`` those of all checkpoints in the folder.
        label: for tables.

    Raises:
        ValueError: there is no such run, or it keeps no such policies.
    """
    run, folder = trained.number(run), trained.folder.path
    if trained.diverged[run] >= 0:
        raise ValueError(f"run is {run}; that run of {folder} diverged")
    state = trained.state_of(run)
    one = lambda actor: jax.tree.map(lambda x: jnp.asarray(x)[None], actor)
    acting = trained.experiment.learner.actor
    if which == "last":
        actors = one(acting(state))
    elif which == "checkpoints":
        of = lambda step: one(acting(load(folder, step).state_of(run)))
        actors = jax.tree.map(lambda *x: jnp.concatenate(x), *map(of, steps_of(folder)))
    elif which == "average":
        if getattr(trained.config.learner, "reference", "") != "average" or not getattr(
            state, "reference", ()
        ):
            raise ValueError(f"policy is 'average', but {folder} keeps none; train with --learner.magnetic")
        actors = one(state.reference.actor)
    else:
        if not getattr(state, "snapshots", ()):
            raise ValueError(
                f"policy is 'snapshots', but {folder} keeps none; train with --learner.snapshots K"
            )
        full = min(int(state.snapshots.seen), jax.tree.leaves(state.snapshots.actor)[0].shape[0])
        actors = jax.tree.map(lambda x: x[:full], state.snapshots.actor)
    return Player(label or f"{Path(folder).name}:{run}", trained, actors)


def judge_of(trained: Trained, preference: str = "") -> Oracle:
    """Who judges: the oracle of that name, by default the one that the run was trained with.

    Raises:
        ValueError: the run was not trained by preferences, or by those of several oracles, and none is given, or the name is none.
    """
    if not preference and (several := getattr(trained.config.learner, "oracles", "")):
        raise ValueError(
            f"preference is empty, and {trained.folder.path} was trained by the oracles {several}; it must be the name of one"
        )
    named = preference or getattr(trained.config.learner, "preference", "")
    if not named:
        raise ValueError(
            f"preference is empty, and {trained.folder.path} was trained with rewards; it must be the name of an oracle, such as 'max_reward'"
        )
    return oracle_from_name(named)


def criteria_of(trained: Trained, criteria: str = "") -> str:
    """What is seen of episodes, by name: as given, else what the run was trained with, else what any run is."""
    return criteria or getattr(trained.config.learner, "criteria", DEFAULT)


def horizon_of(trained: Trained) -> int:
    """Steps of an episode that runs its whole length.

    Raises:
        ValueError: nothing tells of a limit.
    """
    return getattr(trained.config.learner, "horizon", 0) or time_limit(trained.experiment.env)


def play(
    player: Player,
    key: Array,
    episodes: int,
    horizon: int,
    mode: Mode = "sample",
    criteria: str = DEFAULT,
) -> Summary:
    """Summaries ``[episodes]`` of whole episodes; of several policies each plays as many, up to one.

    Args:
        player: who plays.
        key: of everything.
        episodes: how many, at least 2.
        horizon: steps after which an episode is cut off.
        mode: ``"sample"`` or ``"greedy"``.
        criteria: of the summaries, by name.

    Raises:
        ValueError: a size or the mode is not allowed, or criteria are none.
    """
    check_mode(mode)
    if episodes < 2:
        raise ValueError(f"episodes is {episodes}; at least 2 can be compared")
    each = -(-episodes // player.count)
    known = identity(player.trained.config)
    env, learner = player.trained.experiment.tested, player.trained.experiment.learner
    watch = watched(env.action_space, horizon, criteria)
    go = kept(
        "playing",
        known and (known, each, horizon, mode, criteria),
        lambda: jax.jit(jax.vmap(partial(_played, env, learner, each, watch, mode), (0, 0, None))),
    )
    phi = go(jax.random.split(key, player.count), player.actors, env.params)
    return dealt(phi, key, episodes)


def dealt(phi: Any, key: Array, episodes: int) -> Any:
    """Of summaries ``[policies, each, ...]`` so many ``[episodes, ...]``, as many of each policy, up to one; which play once less, or not at all, is drawn."""
    count, each = jax.tree.leaves(phi)[0].shape[:2]
    if episodes % count:
        order = jax.random.permutation(jax.random.fold_in(key, count), count)
        phi = jax.tree.map(lambda x: x[order], phi)
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1).reshape((each * count, *x.shape[2:]))[:episodes], phi)


def _played(
    env: Env, learner: Learner, episodes: int, watch: Watch, mode: Mode, key: Array, actor: Any, params: Any
) -> Summary:
    """Summaries ``[episodes]`` of one policy's episodes: the first of each slot, as far as it came."""

    def act(actor: Any, obs: Any, first: Array, memory: Any, key: Array, **explore: Any) -> Any:
        del explore  # a rollout explores; here episodes are played as asked
        return learner.act(actor, obs, first, memory, key, mode=mode)

    playing = learner._replace(actor=lambda actor: actor, act=act)
    venv, (key_reset, key_play) = vectorize(env, episodes), jax.random.split(key)
    start = venv.reset(key_reset, params)
    memory = learner.initial_memory(episodes)
    t = rollout(key_play, playing, actor, venv, start, memory, params, watch.horizon)[2]
    after = lived(watch, nothing_lived(watch, t), t)[1]
    last = jnp.where(t.ended.any(0), t.ended.argmax(0), watch.horizon - 1)
    return jax.tree.map(lambda x: x[last, jnp.arange(episodes)], after)


def asked(states: Sequence[Any]) -> np.ndarray | None:
    """Labels that each run has asked for, float64 ``[runs]``; None where nothing counts them. A row of metrics has their mean over its updates.

    Args:
        states: of a `TrainResult`.
    """
    found = []
    for state in states:
        counts = [getattr(part, "queries", None) for part in (state.learner, state.store)]
        count = next((x for x in counts if isinstance(x, Count)), None)
        if count is None:
            return None
        found.append(np.asarray(count.high, np.float64) * 2.0**24 + np.asarray(count.low))
    return np.concatenate(found)


def same_task(players: Sequence[Trained]) -> None:
    """Refuse runs of different environments, whose episodes cannot be compared.

    Raises:
        ValueError: naming the first that differs.
    """
    tasks = [(run.config.env, dict(run.config.env_options)) for run in players]
    for task, run in zip(tasks, players, strict=True):
        if task != tasks[0]:
            raise ValueError(
                f"runs has {run.folder.path}, trained on {task[0]} {task[1] or ''}".rstrip()
                + f"; all must be on {tasks[0][0]} {tasks[0][1] or ''}".rstrip()
            )
