"""The compiled part of training: ``K`` updates of one run, from state to state.

Everything a run is lies in one pytree, `TrainState`. Everything that can differ between runs is an
argument, so seeds, hyperparameters, objectives and environment parameters are axes to vmap over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from jaxrl_envs.vector import VectorEnv, VectorState
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.runs.guard import kept, put_back, sound
from jaxrl_evolve.runs.lived import Lived, Terms, lived_by
from jaxrl_evolve.runs.rollout import EpisodeSums, Played, rollout, rollout_on_tasks
from jaxrl_evolve.runs.scouting import scouted
from jaxrl_evolve.runs.tasks import Assignment, Curriculum, Tasks, assign, check_seat, fitted, propose
from jaxrl_evolve.runs.whole_episodes import surely_whole
from jaxrl_evolve.settings.rows import OF_CURRICULUM, OF_EPISODES
from jaxrl_evolve.trajectory import Trajectory


@struct.dataclass
class TrainState:
    """A whole training run between two updates.

    Attributes:
        learner: the learner's state.
        envs: the slots' state.
        memory: the policy's memory before the current observations.
        key: typed PRNG key; the only source of the run's randomness.
        updates: updates made, int32 scalar. Environment steps are counted by the host, in Python integers.
        diverged: int32 scalar, the update at which the loss or a number of the learner's state was first not
            finite, or -1. From then on the learner keeps its last good state.
        store: what the learner keeps of its experience (`learners.learner.Store`), or ``()``.
        tasks: the curriculum and the slots' tasks (`runs.tasks.Tasks`), or ``()``.

    Store and tasks are facts: a run that diverges keeps its learner's last good state, but not theirs. Guarding a
    state means to hold the old one beside the new, which would copy a large store at every update.
    """

    learner: Any
    envs: VectorState
    memory: Any
    key: Array
    updates: Int[Array, ""]
    diverged: Int[Array, ""]
    store: Any = ()
    tasks: Any = ()


class Chunk(NamedTuple):
    """Compilable functions of one run; wrap them with `over_runs` to vmap, then jit once.

    Attributes:
        init: ``(key, hp, env_params) -> TrainState``.
        run: ``(state, hp, eta, env_params, horizon, updates) -> (state, metrics)``. ``horizon`` is the run's
            length in updates (float32 scalar), ``updates`` how many to make now (int32 scalar, traced: any
            number runs in the same compiled program). Metrics are float32 scalars: means over the updates,
            and ``episode_return``, ``episode_length`` (means over the episodes that ended; NaN if none did),
            ``episodes``, and an ``episode_…`` of what `Env.metrics` names, in its shape.
        steps_per_update: environment steps of one update.
        scoring_steps: those that its curriculum takes besides (`runs.tasks.Curriculum.cost`), of which the learner learns nothing.
    """

    init: Callable[[Array, Any, Any], TrainState]
    run: Callable[[TrainState, Any, Any, Any, Array, Array], tuple[TrainState, dict[str, Array]]]
    steps_per_update: int
    scoring_steps: int = 0


class _Experience(NamedTuple):
    """A rollout, and the slots and tasks after it."""

    envs: VectorState
    memory: Any
    played: Played
    tasks: Any
    proposed: Assignment | None = None


Update = Callable[[TrainState, Any, Any, Any, Array], tuple[TrainState, dict[str, Array], EpisodeSums]]
"""``(state, hp, eta, env_params, horizon) -> (state, metrics, ended episodes)``, one update of one run."""


def make_update(
    learner: Learner, venv: VectorEnv, rollout_length: int, curriculum: Curriculum | None = None
) -> Update:
    """One update of one run.

    It can be differentiated with respect to ``eta`` and to the learner's state: through the learner's
    update, not through what happened, which is a fact.

    Args:
        learner: built for ``venv.num_envs`` environments.
        venv: the environments.
        rollout_length: steps per environment ``T``.
        curriculum: what chooses the slots' tasks; ``venv`` then takes parameters per slot.

    Raises:
        ValueError: a curriculum with slots that share their parameters, or the other way round; or one that reads a
            critic, beside a learner without.
    """
    curriculum = fitted(curriculum, learner, rollout_length)
    check_seat(learner, venv, curriculum)
    steps_per_update = venv.num_envs * rollout_length

    def experience(key: Array, state: TrainState, env_params: Any) -> _Experience:
        acting = (key, learner, state.learner, venv)
        if curriculum is None:
            seen = rollout(*acting, state.envs, state.memory, env_params, rollout_length)
            envs, memory, trajectory, episodes = jax.lax.stop_gradient(seen)
            return _Experience(envs, memory, Played(trajectory, episodes), state.tasks)
        key_tasks = jax.random.fold_in(state.key, KeyTag.TASKS)
        tasks, envs, proposed = _proposed(curriculum, venv, key_tasks, state, env_params)
        envs, memory, running, played = jax.lax.stop_gradient(
            rollout_on_tasks(*acting, envs, state.memory, tasks.running, proposed, rollout_length)
        )
        return _Experience(envs, memory, played, replace(tasks, running=running), proposed)

    def one_update(
        state: TrainState, hp: Any, eta: Any, env_params: Any, horizon: Array
    ) -> tuple[TrainState, dict[str, Array], EpisodeSums]:
        key, key_pool, key_rollout, key_update = jax.random.split(state.key, 4)
        state = replace(state, envs=venv.refresh(key_pool, state.envs, env_params))
        seen = experience(key_rollout, state, env_params)
        trajectory = seen.played.trajectory
        clock = Clock.at(state.updates * float(steps_per_update), horizon * float(steps_per_update))
        if learner.store is not None and curriculum is not None and curriculum.restart:
            trajectory = _left(trajectory)
        updated, metrics, store = _learn(learner, key_update, state, trajectory, hp, eta, clock)
        tasks = seen.tasks
        if curriculum is not None:
            told = partial(lived_by, learner, state.learner, Terms(hp, eta, clock))
            acting = (state.key, learner, state.learner, venv.env)
            scout = partial(scouted, rollout_length, told, acting)
            tasks, facts = _recorded(curriculum, venv, seen, told, metrics, scout)
            metrics = metrics | facts
        good = (state.diverged < 0) & (
            jnp.isfinite(metrics["loss"]) if learner.guards else sound(metrics["loss"], updated)
        )
        # What learns from a store makes a number of steps that is data, through which there is no derivative.
        choose = kept if learner.store is None else put_back
        learned = updated if learner.guards else choose(good, updated, state.learner)
        diverged = jnp.where(good | (state.diverged >= 0), state.diverged, state.updates)
        after = TrainState(learned, seen.envs, seen.memory, key, state.updates + 1, diverged, store, tasks)
        return after, metrics, seen.played.episodes

    return one_update


def _learn(
    learner: Learner, key: Array, state: TrainState, trajectory: Trajectory, hp: Any, eta: Any, clock: Clock
) -> tuple[Any, dict[str, Array], Any]:
    """The learner's update; the store has the trajectory in it before, so that it may be learned from at once."""
    update: Any = learner.update
    if learner.store is None:
        return *update(key, state.learner, trajectory, hp, eta, clock), state.store
    store = learner.store.add(state.store, trajectory)
    return update(key, state.learner, trajectory, hp, eta, clock, store)


def _left(trajectory: Trajectory) -> Trajectory:
    """A rollout after which every slot begins another episode, as a store has to know it: who still played was cut, as by a time limit.

    Else the first observation of the next rollout would be the successor of the last one's.
    """
    last = jnp.arange(trajectory.length)[:, None] == trajectory.length - 1
    return replace(trajectory, truncated=trajectory.truncated | (last & ~trajectory.terminated))


def _proposed(
    curriculum: Curriculum, venv: VectorEnv, key: Array, state: TrainState, env_params: Any
) -> tuple[Tasks, VectorState, Assignment]:
    """The curriculum's proposals, taken up at once where episodes begin with the rollout."""
    key_propose, key_reset = jax.random.split(key)
    running = state.tasks.running
    choice, proposed = propose(
        curriculum, venv.env, key_propose, state.tasks.curriculum, running.number, env_params
    )
    if not curriculum.restart:
        return Tasks(choice, running), state.envs, proposed
    return Tasks(choice, proposed), venv.reset(key_reset, proposed.params), proposed


def _recorded(
    curriculum: Curriculum,
    venv: VectorEnv,
    seen: _Experience,
    told: Callable[..., Lived],
    metrics: dict[str, Array],
    scout: Callable[..., Any],
) -> tuple[Tasks, dict[str, Array]]:
    """The curriculum once it knows what came of its proposals, and of its scouts, and its metrics."""
    assert seen.proposed is not None
    # Members of a group begin together as well, but how long an episode of an arm can be is not known here.
    begun = curriculum.restart and curriculum.group == 1
    counted = surely_whole(venv.env, seen.proposed.params, seen.played.trajectory) if begun else None
    lived = told(seen.proposed, seen.played, metrics, counted)
    state = curriculum.record(seen.tasks.curriculum, lived)
    if curriculum.scouts is not None:
        state = scout(curriculum.scouts, state, lived)
    facts = {f"{OF_CURRICULUM}{name}": value for name, value in curriculum.metrics(state).items()}
    return replace(seen.tasks, curriculum=state), facts


def make_chunk(
    learner: Learner, venv: VectorEnv, rollout_length: int, curriculum: Curriculum | None = None
) -> Chunk:
    """Tie a learner to its environments.

    Args:
        learner: built for ``venv.num_envs`` environments.
        venv: the environments.
        rollout_length: steps per environment and update ``T``.
        curriculum: what chooses the slots' tasks; ``venv`` then takes parameters per slot.

    Raises:
        ValueError: a curriculum with slots that share their parameters, or the other way round; or one that reads a
            critic, beside a learner without.
    """
    curriculum = fitted(curriculum, learner, rollout_length)
    steps_per_update = venv.num_envs * rollout_length

    def init(key: Array, hp: Any, env_params: Any) -> TrainState:
        tasks: Any = ()
        if curriculum is not None:
            tasks = assign(
                curriculum, venv.env, jax.random.fold_in(key, KeyTag.TASKS), env_params, venv.num_envs
            )
            env_params = tasks.running.params
        key, key_learner, key_envs = jax.random.split(key, 3)
        state = TrainState(
            learner=learner.init(key_learner, hp),
            envs=venv.reset(key_envs, env_params),
            memory=learner.initial_memory(venv.num_envs),
            key=key,
            updates=jnp.zeros((), jnp.int32),
            diverged=jnp.full((), -1, jnp.int32),
            tasks=tasks,
        )
        if learner.store is None:
            return state
        example = jax.eval_shape(
            lambda state: _example(learner, venv, state, env_params, rollout_length), state
        )
        return replace(state, store=learner.store.init(example))

    # Traced once though called twice below: for its shapes, then in the loop.
    one_update = jax.jit(make_update(learner, venv, rollout_length, curriculum))

    def run(
        state: TrainState, hp: Any, eta: Any, env_params: Any, horizon: Array, updates: Array
    ) -> tuple[TrainState, dict[str, Array]]:
        _, shapes, ended = jax.eval_shape(one_update, state, hp, eta, env_params, horizon)
        zeros = {name: jnp.zeros(x.shape, x.dtype) for name, x in shapes.items()}

        def body(_: Array, carry: Any) -> Any:
            state, sums, episodes = carry
            state, metrics, ended = one_update(state, hp, eta, env_params, horizon)
            return state, jax.tree.map(jnp.add, sums, metrics), episodes + ended

        state, sums, episodes = jax.lax.fori_loop(0, updates, body, (state, zeros, EpisodeSums.none(ended)))
        metrics = {name: total / updates for name, total in sums.items()}
        metrics["episodes"] = episodes.episodes
        # 0 / 0 is NaN on purpose: no episode ended, so there is no mean.
        metrics["episode_return"] = episodes.returns / episodes.episodes
        metrics["episode_length"] = episodes.lengths / episodes.episodes
        for name, total in episodes.info.items():
            metrics[f"{OF_EPISODES}{name}"] = total / episodes.episodes
        return state, metrics

    return Chunk(init, run, steps_per_update, curriculum.cost(rollout_length) if curriculum else 0)


def _example(
    learner: Learner, venv: VectorEnv, state: TrainState, env_params: Any, length: int
) -> Trajectory:
    """A trajectory as it will be added to the learner's store; only its shapes are wanted."""
    start = (state.key, learner, state.learner, venv, state.envs, state.memory)
    if not venv.params_per_slot:
        return rollout(*start, env_params, length)[2]
    return rollout_on_tasks(*start, state.tasks.running, state.tasks.running, length)[3].trajectory
