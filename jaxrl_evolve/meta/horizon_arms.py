"""Horizons as arms: a bandit chooses how long the next lives are, by what came of earlier ones of each length.

It is the bandit of training, in the same kind of seat: what an episode on an arm is there, here is the life of an agent, and its return
is the life's fitness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.curricula.arms.arms import stacked_arms
from jaxrl_evolve.curricula.arms.curriculum import Seated, Setup, seated, setup_of
from jaxrl_evolve.curricula.arms.names import ARM_CURRICULA
from jaxrl_evolve.curricula.arms.options import limits
from jaxrl_evolve.curricula.signals import SIGNALS, Sums
from jaxrl_evolve.curricula.statistics import by_number, extremes_of
from jaxrl_evolve.runs.tasks import Assignment, Curriculum
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.training.parts import literal

if TYPE_CHECKING:
    from jaxrl_evolve.meta.config import MetaTrainConfig


class LivesOfArms(NamedTuple):
    """What a curriculum of horizons is told of a generation.

    Attributes:
        given: the horizons that were proposed, ``params`` int32 ``[lives]``.
        fitness: of the agents that lived as long, NaN where one diverged.
    """

    given: Assignment
    fitness: Float[Array, "lives members"]


def horizon_curriculum(config: MetaTrainConfig[Any, Any, Any]) -> Curriculum | None:
    """What chooses horizons, if something does; told of `LivesOfArms`.

    Raises:
        ValueError: the curriculum is none of arms (near matches), an option is not allowed, or it learns from what only episodes of
            training have.
    """
    if not config.curriculum:
        return None
    name = config.curriculum
    if name not in ARM_CURRICULA:
        raise ValueError(
            f"curriculum is {name!r}, which is no curriculum of arms: {suggestion(name, ARM_CURRICULA)}"
        )
    options = {key: literal(text) for key, text in config.curriculum_options.items()}
    if "arms" in options:
        raise ValueError(
            f"curriculum_options.arms is {options['arms']!r}, but the arms of a meta-training are horizons.choices"
        )
    choices = config.horizons.choices
    arms = stacked_arms(jnp.asarray(choices, jnp.int32), [str(n) for n in choices])
    limit = limits(options.pop("threshold", None), len(choices))
    shared = {key: options.pop(key) for key in ("signal", "costs", "available") if key in options}
    setup = setup_of(name, arms, None if limit is None else _reached(limit), options, **shared)
    if setup.signal.critic or setup.signal.told:
        fit = (key for key, signal in SIGNALS.items() if not signal.critic and not signal.told)
        what = "a critic says" if setup.signal.critic else "an oracle of preferences says"
        raise ValueError(
            f"curriculum {name!r} learns from what {what}, which there is none of for lives of agents: choose a signal of "
            f"{', '.join(fit)}"
        )
    if setup.signal.success and limit is None:
        raise ValueError(
            f"curriculum {name!r} learns from successes: say from which fitness on a life is one, --curriculum_options threshold NUMBER"
        )
    return seated(setup, _sums)


def _reached(limit: Any) -> Any:
    """Whether each life is a success, float32 ``[lives, members]``."""
    least = jnp.asarray(limit, jnp.float32)

    def reached(lived: LivesOfArms) -> Array:
        of_arm = least if least.ndim == 0 else least[lived.given.number][:, None]
        return (lived.fitness >= of_arm).astype(jnp.float32)

    return reached


def _sums(setup: Setup, state: Seated, lived: LivesOfArms) -> Sums:
    """All that is read of a generation, by arm; an agent that diverged is left out."""
    arms, fine = len(setup.arms.names), jnp.isfinite(lived.fitness)
    number = jnp.broadcast_to(lived.given.number[:, None], fine.shape)
    length = jnp.broadcast_to(lived.given.params[:, None], fine.shape)
    facts = {"episodes": jnp.ones_like(lived.fitness), "returns": lived.fitness, "lengths": length}
    if setup.success is not None:
        facts["successes"] = setup.success(lived)
    counted = {name: jnp.where(fine, x, 0).astype(jnp.float32) for name, x in facts.items()}
    sums: dict[str, Array] = {**by_number(counted, number, arms)}
    if setup.signal.extremes:
        sums["best"], sums["worst"] = extremes_of(lived.fitness, fine, number, arms)
    return {**sums, "before": state.before, "seen": state.seen}
