"""What came of a rollout on tasks: the outcome that a curriculum is told of in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Array

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
    """

    proposed: Assignment
    played: Played
    learner: Any
    metrics: dict[str, Array]
    critic: Callable[[], Assessment] | None = None
    influence: Callable[[], Array] | None = None
    terms: Terms | None = None


def lived_by(
    learner: Learner,
    acted: Any,
    terms: Terms,
    proposed: Assignment,
    played: Played,
    metrics: dict[str, Array],
) -> Lived:
    """The outcome of what a learner did.

    Args:
        learner: who.
        acted: its state then.
        terms: of the update, with its hyperparameters.
        proposed: the tasks that were proposed before.
        played: what was seen.
        metrics: of the update that was made from it, if one was.
    """
    bound = lambda function: function and partial(function, acted, played.trajectory, terms.hp)
    return Lived(proposed, played, acted, metrics, bound(learner.assess), bound(learner.influence), terms)
