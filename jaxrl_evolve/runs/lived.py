"""What came of a rollout on tasks: the outcome that a curriculum is told of in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Array, Bool

from jaxrl_evolve.clock import Clock
from jaxrl_evolve.learners.learner import Assessment, Learner
from jaxrl_evolve.runs.rollout import Played
from jaxrl_evolve.runs.tasks import Assignment


class Terms(NamedTuple):
    """On what terms a learner learns in an update: the last arguments of `Learner.update`, for a curriculum that has agents of its own.

    Attributes:
        hp: hyperparameters of the run.
        eta: parameters of the objective.
        clock: how far the run is.
    """

    hp: Any
    eta: Any
    clock: Clock


class Lived(NamedTuple):
    """What came of a rollout on tasks: the outcome that `Curriculum.record` is given.

    Attributes:
        proposed: the tasks that were proposed before it.
        played: what was seen; ``trajectory.task`` is the number of the task of every step.
        learner: state of the learner that acted.
        metrics: of the update that was made from it.
        critic: what the critic of that state says of the rollout; costs nothing where it is not called, and is None
            where the learner has none. A curriculum that calls it says so (`Curriculum.critic`).
        influence: likewise, the change of the policy's parameters that every slot causes (`Learner.influence`), float32 ``[N]``.
        terms: of the update.
        counted: which steps' episodes count where they end (`runs.whole_episodes`): where every slot begins an episode with the rollout,
            those that end in it whatever happens. None where all count.
    """

    proposed: Assignment
    played: Played
    learner: Any
    metrics: dict[str, Array]
    critic: Callable[[], Assessment] | None = None
    influence: Callable[[], Array] | None = None
    terms: Terms | None = None
    counted: Bool[Array, "T N"] | None = None


def lived_by(
    learner: Learner,
    acted: Any,
    terms: Terms,
    proposed: Assignment,
    played: Played,
    metrics: dict[str, Array],
    counted: Array | None = None,
) -> Lived:
    """The outcome of what a learner did.

    Args:
        learner: who.
        acted: its state then.
        terms: of the update, with its hyperparameters.
        proposed: the tasks that were proposed before.
        played: what was seen.
        metrics: of the update that was made from it, if one was.
        counted: as in `Lived`.
    """
    bound = lambda function: function and partial(function, acted, played.trajectory, terms.hp)
    said = bound(learner.assess), bound(learner.influence)
    return Lived(proposed, played, acted, metrics, *said, terms, counted)
