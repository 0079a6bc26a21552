"""What is wrong with a learner, an objective or a curriculum of one's own, found without running it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jaxrl_envs.contract import Env
from jaxrl_envs.vector import vectorize
from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import Assessment, Learner, Mode, Store, traced
from jaxrl_evolve.objectives.check import check_metrics
from jaxrl_evolve.runs.lived import Terms, lived_by
from jaxrl_evolve.runs.rollout import Played, rollout, rollout_on_tasks
from jaxrl_evolve.runs.scouting import scouted
from jaxrl_evolve.runs.tasks import NEW, Assignment, Curriculum, Openings, check_seat, drawn_tasks, fitted
from jaxrl_evolve.settings.foreign import Refused, evaluated, told
from jaxrl_evolve.settings.rows import is_taken
from jaxrl_evolve.trajectory import PolicyOutput


class _Seen(NamedTuple):
    """Shapes and dtypes of a learner after one update."""

    state: Any
    memory: Any
    metrics: dict[str, Any]


def check_learner(learner: Learner, env: Env, num_envs: int, rollout_length: int) -> None:
    """Evaluate every function of a learner abstractly: shapes and dtypes only, no numbers, nothing compiled.

    Args:
        learner: built for ``env`` and these sizes.
        env: one that `jaxrl_envs.check_env` passes.
        num_envs: parallel environments ``N``.
        rollout_length: steps per update ``T``.

    Raises:
        ValueError: a function fails, or gives what has another shape, dtype or structure than `Learner` says.
    """
    _learned(learner, env, num_envs, rollout_length)


def check_curriculum(
    name: str, curriculum: Curriculum, learner: Learner, env: Env, num_envs: int, rollout_length: int
) -> None:
    """The same for a curriculum, beside a learner that `check_learner` passes.

    Raises:
        ValueError: a function fails, or gives what has another shape, dtype or structure than `Curriculum` says.
    """
    who = f"curriculum {name!r}"
    venv = vectorize(env, num_envs, params_per_slot=True)
    made = fitted(curriculum, learner, rollout_length)
    assert made is not None
    curriculum = made
    check_seat(learner, venv, curriculum)
    if not isinstance(curriculum.steps, int) or isinstance(curriculum.steps, bool) or curriculum.steps < 0:
        raise Refused(f"{who}: steps is {curriculum.steps!r}; it must be a whole number of at least 0")
    seen = _learned(learner, env, num_envs, rollout_length)
    state = evaluated(f"{who}: init", curriculum.init, _key())
    nobody = lambda: jnp.full((num_envs,), NEW, jnp.int32)
    openings = jax.eval_shape(
        lambda key: Openings(drawn_tasks(env, key, env.params, num_envs), nobody() == NEW, nobody()), _key()
    )
    proposed = evaluated(f"{who}: propose", curriculum.propose, _key(), state, openings)
    given = _parts(who, "propose", proposed, 2)
    _same(who, "propose", "a state", given[0], state)
    if not isinstance(given[1], Assignment):
        raise Refused(f"{who}: propose gives {told(given[1])} for tasks; it must be an Assignment")
    _same(who, "propose", "numbers of tasks", given[1].number, openings.playing)
    _same(who, "propose", "parameters of tasks", given[1].params, openings.drawn, "the environment's")

    terms = _terms(learner)

    def recorded(
        key: Any,
        learned: Any,
        memory: Any,
        state: Any,
        proposed: Assignment,
        metrics: Any,
        terms: Terms,
    ) -> Any:
        envs = venv.reset(key, proposed.params)
        acting = (key, learner, learned, venv, envs, memory, proposed, proposed, rollout_length)
        played: Played = rollout_on_tasks(*acting)[3]
        lived = lived_by(learner, learned, terms, proposed, played, metrics)
        state = curriculum.record(state, lived)
        if curriculum.scouts is None:
            return state
        by = partial(lived_by, learner, learned, terms)
        return scouted(rollout_length, by, (key, learner, learned, env), curriculum.scouts, state, lived)

    facts = (_key(), seen.state, seen.memory, state, given[1], seen.metrics, terms)
    _same(who, "record", "a state", evaluated(f"{who}: record", recorded, *facts), state)
    check_metrics(f"{who}: metrics", evaluated(f"{who}: metrics", curriculum.metrics, state))


def _learned(learner: Learner, env: Env, num_envs: int, rollout_length: int) -> _Seen:
    who = f"learner {learner.name!r}"
    venv = vectorize(env, num_envs)
    hp = traced(learner.default_hp)
    state = evaluated(f"{who}: init", learner.init, _key(), hp)
    eta = evaluated(f"{who}: init_objective", learner.init_objective, _key())
    memory = evaluated(f"{who}: initial_memory", lambda: learner.initial_memory(num_envs))
    for leaf in jax.tree.leaves(memory):
        if leaf.shape[:1] != (num_envs,):
            raise Refused(
                f"{who}: initial_memory gives {told(leaf)} for {num_envs} environments; the first axis must be theirs"
            )
    envs = jax.eval_shape(venv.reset, _key(), env.params)
    actor = evaluated(f"{who}: actor", learner.actor, state)
    for mode in get_args(Mode):
        _check_act(who, learner, env, actor, envs, memory, mode)
    acting = lambda key, state, envs, memory: rollout(
        key, learner, state, venv, envs, memory, env.params, rollout_length
    )
    trajectory = jax.eval_shape(acting, _key(), state, envs, memory)[2]
    if learner.assess is not None:
        said = evaluated(f"{who}: assess", learner.assess, state, trajectory, hp)
        if not isinstance(said, Assessment):
            raise Refused(f"{who}: assess gives {told(said)}; it must be an Assessment")
        _same(who, "assess", "numbers", said, Assessment(*[trajectory.reward] * 3))
    arguments = [_key(), state, trajectory, hp, eta, Clock.at(0.0, 1.0)]
    if learner.store is not None:
        if not isinstance(learner.store, Store):
            raise Refused(f"{who}: store is {told(learner.store)}; it must be a Store")
        keep = learner.store.init
        store = evaluated(f"{who}: store.init", lambda: keep(trajectory))
        added = evaluated(f"{who}: store.add", learner.store.add, store, trajectory)
        _same(who, "store.add", "a store", added, store)
        arguments.append(store)
    given = _parts(who, "update", evaluated(f"{who}: update", learner.update, *arguments), len(arguments) - 4)
    _same(who, "update", "a state", given[0], state)
    check_metrics(f"{who}: update", given[1], is_taken)
    if "loss" not in given[1]:
        raise Refused(
            f"{who}: update gives the metrics {', '.join(given[1]) or '(none)'}; 'loss' must be among them, which tells a "
            "run that diverged"
        )
    if learner.store is not None:
        _same(who, "update", "a store", given[2], arguments[-1])
    return _Seen(given[0], memory, given[1])


def _check_act(who: str, learner: Learner, env: Env, actor: Any, envs: Any, memory: Any, mode: Mode) -> None:
    what = f"act in mode {mode!r}"
    act: Callable[..., Any] = lambda actor, obs, first, memory, key: learner.act(
        actor, obs, first, memory, key, mode=mode
    )
    given = evaluated(f"{who}: {what}", act, actor, envs.obs, envs.first, memory, _key())
    action, after, policy = _parts(who, what, given, 3)
    space = env.action_space
    shape = (*envs.first.shape, *space.shape)
    if told(action) != f"{space.dtype}{list(shape)}":
        raise Refused(
            f"{who}: {what} gives an action of {told(action)}; it must be {space.dtype}{list(shape)}"
        )
    _same(who, what, "a memory", after, memory)
    if not isinstance(policy, PolicyOutput):
        raise Refused(f"{who}: {what} gives {told(policy)} third; it must be a PolicyOutput")
    if told(policy.log_prob) != f"float32{list(envs.first.shape)}":
        raise Refused(
            f"{who}: {what} gives a log_prob of {told(policy.log_prob)}; it must be float32{list(envs.first.shape)}"
        )


def _terms(learner: Learner) -> Terms:
    eta = evaluated(f"learner {learner.name!r}: init_objective", learner.init_objective, _key())
    return Terms(traced(learner.default_hp), eta, Clock.at(0.0, 1.0))


def _key() -> Any:
    return jax.random.key(0)


def _parts(who: str, function: str, given: Any, parts: int) -> Any:
    if not isinstance(given, tuple) or len(given) != parts:
        size = f" of {len(given)}" if isinstance(given, tuple) else ""
        raise Refused(f"{who}: {function} gives {told(given)}{size}; it must be a tuple of {parts}")
    return given


def _same(who: str, function: str, what: str, given: Any, wanted: Any, whose: str = "it was before") -> None:
    """Refuse another structure, shape or dtype than before, or than those of something else."""
    if jax.tree.structure(given) != jax.tree.structure(wanted):
        names = [
            {jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(x)}
            for x in (given, wanted)
        ]
        missing, more = (", ".join(sorted(x)) for x in (names[1] - names[0], names[0] - names[1]))
        lacks = [f"{word} {said}" for word, said in (("without", missing), ("with", more)) if said]
        raise Refused(
            f"{who}: {function} gives {what} of another structure than {whose}{': ' if lacks else ''}{', '.join(lacks)}"
        )
    pairs = zip(jax.tree_util.tree_leaves_with_path(given), jax.tree.leaves(wanted), strict=True)
    for (path, a), b in pairs:
        if told(a) != told(b):
            raise Refused(
                f"{who}: {function} gives {what} whose {jax.tree_util.keystr(path) or 'array'} is {told(a)}; it must be {told(b)}"
            )
