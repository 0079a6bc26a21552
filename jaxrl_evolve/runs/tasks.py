"""Which tasks the slots of a run live on: the seat of a curriculum in the chunk.

A task is a number and parameters of the environment. Before each rollout a curriculum proposes one for every slot; a
slot takes it up when its episode ends (and again at each further end), or at once, if episodes are to begin with
the rollout. After the rollout the curriculum is told what came of it.

The interface is the same wherever tasks are chosen. In meta-training the openings are whole lives of agents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.vector import VectorEnv
from jaxrl_evolve.learners.learner import Learner
from jaxrl_evolve.settings.foreign import Refused, called, told

NEW = -1
"""Number of a task that the curriculum does not know by number (yet)."""


@struct.dataclass
class Assignment:
    """Tasks of ``n`` slots.

    Attributes:
        number: int32 ``[n]``: of an arm or a level, as its curriculum counts, or `NEW`.
        params: leaves ``[n, ...]``.
    """

    number: Int[Array, " n"]
    params: Any


class Openings(NamedTuple):
    """What tasks are wanted for.

    Attributes:
        drawn: leaves ``[n, ...]``, the tasks that would be taken without a curriculum: drawn by the environment
            (`Env.sample_params`), or the one that there is. Drawing them costs nothing where nobody reads them.
        wanted: bool ``[n]``, who takes a task; proposals for others are ignored.
        playing: int32 ``[n]``, numbers of the tasks that are being played, or `NEW`.
    """

    drawn: Any
    wanted: Bool[Array, " n"]
    playing: Int[Array, " n"]


class Scouts(NamedTuple):
    """Levels that are played only to find out what they are worth: nothing is learned from them.

    After every update ``count`` slots of their own play one level each from its beginning, with the policy that acted in the
    update. Their number and length are fixed, so that runs may be vmapped, and what they cost is known beforehand.

    Attributes:
        count: levels in an update, ``n``.
        steps: on each level; 0 is as many as of the rollout that is trained on.
        propose: ``(key, state, outcome) -> (state, Assignment)`` of ``n`` levels; the outcome is that of the rollout that was trained
            on, which `Curriculum.record` was told of before.
        record: ``(state, outcome) -> state``; its outcome is that of the scouts, without metrics of an update.
    """

    count: int
    steps: int
    propose: Callable[[Array, Any, Any], tuple[Any, Assignment]]
    record: Callable[[Any, Any], Any]

    def cost(self, rollout_length: int) -> int:
        """Environment steps in an update."""
        return self.count * (self.steps or rollout_length)


class Curriculum(NamedTuple):
    """A choice of tasks, as pure functions over a state pytree of fixed shapes and dtypes.

    Attributes:
        init: ``key -> state``.
        propose: ``(key, state, Openings) -> (state, Assignment)``, for ``n`` openings.
        record: ``(state, outcome) -> state``. What an outcome is depends on the kind of run:
            `runs.lived.Lived` in training.
        metrics: ``state -> dict`` of float32 scalars, the same keys on every call.
        restart: whether every slot begins a new episode at each proposal, as where a score is that of a whole
            rollout on one level; else running episodes go on to their ends.
        critic: whether `record` reads what the learner's critic says (`Lived.critic`).
        influence: whether `record` reads the parameter change that every slot causes (`Lived.influence`).
        scouts: levels that are played without being learned from, if there are any.
        steps: environment steps in an update besides those of training and of scouts, such as of agents that the curriculum
            has of its own.
        made_for: ``(learner, rollout_length) -> Curriculum``, what has to be known before the others are functions: who learns, and in
            how many steps. `fitted` asks.
        group: neighbouring slots that always get the same task, in episodes that begin together (`runs.shared_tasks`).
        told: metrics of the learner's updates that `record` reads (`Learner.tells`).
        episodes: of a task that a rollout that begins with it, or one of scouts, has to hold for `record` to learn anything of it.
    """

    init: Callable[[Array], Any]
    propose: Callable[[Array, Any, Openings], tuple[Any, Assignment]]
    record: Callable[[Any, Any], Any]
    metrics: Callable[[Any], dict[str, Array]]
    restart: bool = False
    critic: bool = False
    influence: bool = False
    scouts: Scouts | None = None
    steps: int = 0
    made_for: Callable[[Learner, int], Curriculum] | None = None
    group: int = 1
    told: tuple[str, ...] = ()
    episodes: int = 1

    def cost(self, rollout_length: int) -> int:
        """Environment steps in an update besides those of training."""
        return self.steps + (self.scouts.cost(rollout_length) if self.scouts else 0)


def fitted(curriculum: Curriculum | None, learner: Learner, rollout_length: int) -> Curriculum | None:
    """The curriculum as it is beside a learner.

    Args:
        curriculum: one of any kind, or none.
        learner: built for as many slots as the curriculum.
        rollout_length: steps per environment and update.

    Raises:
        ValueError: it cannot be beside this learner.
    """
    if curriculum is not None and curriculum.made_for is not None:
        who, made_for = "the curriculum: made_for", curriculum.made_for
        curriculum = called(who, made_for, learner, rollout_length, saying=(ValueError,))
        if not isinstance(curriculum, Curriculum):
            raise Refused(f"{who} gave {told(curriculum)}; it must be a Curriculum")
    if learner.group > 1 and (curriculum is None or curriculum.group != learner.group):
        from jaxrl_evolve.runs.shared_tasks import shared  # which is made of what is here

        return shared(curriculum, learner.group)
    return curriculum


def unfitted(name: str, made_for: Callable[[Learner, int], Curriculum]) -> Curriculum:
    """A curriculum that is one only beside a learner.

    Args:
        name: for the message.
        made_for: see `Curriculum`.
    """

    def refuse(*_: Any) -> Any:
        raise ValueError(f"curriculum {name!r} has agents like those of a learner: make it by `fitted` first")

    return Curriculum(refuse, refuse, refuse, refuse, restart=True, made_for=made_for)


@struct.dataclass
class Tasks:
    """A curriculum within a run.

    Attributes:
        curriculum: its state.
        running: the task of every slot's running episode.
    """

    curriculum: Any
    running: Assignment


def drawn_tasks(env: Env, key: Array, params: Any, count: int) -> Any:
    """The tasks of ``count`` slots without a curriculum, leaves ``[count, ...]``: new ones where the environment
    draws tasks, else ``params`` for each.
    """
    if env.sample_params is not None:
        return jax.vmap(env.sample_params)(jax.random.split(key, count))
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), params)


def propose(
    curriculum: Curriculum, env: Env, key: Array, state: Any, playing: Int[Array, " n"], params: Any
) -> tuple[Any, Assignment]:
    """Proposals for every slot.

    Args:
        curriculum: whose.
        env: draws tasks.
        key: randomness of the curriculum, none of the agent's.
        state: the curriculum's.
        playing: numbers of the tasks being played.
        params: of the run.
    """
    key_drawn, key_propose = jax.random.split(key)
    count = playing.shape[0]
    openings = Openings(drawn_tasks(env, key_drawn, params, count), jnp.ones((count,), bool), playing)
    return curriculum.propose(key_propose, state, openings)


def assign(curriculum: Curriculum, env: Env, key: Array, params: Any, count: int) -> Tasks:
    """The tasks that a run of ``count`` slots begins with."""
    key_init, key_first = jax.random.split(key)
    state = curriculum.init(key_init)
    nobody = jnp.full((count,), NEW, jnp.int32)
    return Tasks(*propose(curriculum, env, key_first, state, nobody, params))


def check_seat(learner: Learner, venv: VectorEnv, curriculum: Curriculum | None) -> None:
    """Refuse what a curriculum, or none, cannot be run with.

    Raises:
        ValueError: slots that share their parameters beside a curriculum, or the other way round; or a curriculum that
            reads a critic, beside a learner that has none of states, or a metric that the learner does not tell.
    """
    if venv.params_per_slot != (curriculum is not None):
        needs = "parameters per slot" if curriculum else "one set of parameters for all slots"
        raise ValueError(
            f"params_per_slot is {venv.params_per_slot}, but {'a' if curriculum else 'no'} curriculum needs {needs}"
        )
    if curriculum is not None and curriculum.critic and learner.assess is None:
        raise ValueError(
            f"the curriculum learns from what a critic says, but learner {learner.name!r} has no critic of states: it must "
            "be one that has (ppo, a2c), or the curriculum's signal one of returns or successes"
        )
    if curriculum is not None and curriculum.influence and learner.influence is None:
        raise ValueError(
            f"the curriculum learns from how levels change the parameters, which learner {learner.name!r} does not say: it must "
            "be one that does (ppo, a2c), or the curriculum another"
        )
    untold = [
        name for name in (curriculum.told if curriculum is not None else ()) if name not in learner.tells
    ]
    if untold:
        raise ValueError(
            f"the curriculum learns from {untold[0]}, which learner {learner.name!r} does not tell: it must be spo with oracles of the "
            "arms' names, or the curriculum's signal another"
        )
