"""The estimators of meta-training: how the direction in which an objective improves is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxrl_evolve.settings.later import later

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from jaxrl_evolve.meta.config import MetaTrainConfig
    from jaxrl_evolve.meta.experiment import MetaExperiment, MetaPrograms

EstimatorName = Literal["es", "meta-gradient", "pes"]


class Estimator(NamedTuple):
    """What sets one estimator apart from the others.

    Attributes:
        name: as configurations have it.
        programs: ``(config, experiment, mesh) -> MetaPrograms``.
        agents: how many agents, or pairs of them, a generation can be split into.
        members: agents in each of these: two in an antithetic pair.
        shares: what these are, in messages: by the field that says how many there are.
        of_failed: what becomes of agents that diverge, in messages.
        unread: fields of the configuration that it does not read and that digests leave out, so that runs from
            before there were such fields resume.
        ignores: fields that it does not read either, dotted, though digests have them; the command does not offer them.
        curates: whether it serves curated levels.
        chooses: whether it serves a curriculum over horizons.
        differentiates: whether it differentiates through the objective, else it compares antithetic pairs.
    """

    name: EstimatorName
    programs: Callable[[MetaTrainConfig[Any, Any, Any], MetaExperiment, Mesh | None], MetaPrograms]
    agents: Callable[[MetaTrainConfig[Any, Any, Any]], int]
    members: int
    shares: str
    of_failed: str
    unread: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    curates: bool = False
    chooses: bool = False
    differentiates: bool = False


ESTIMATORS: dict[str, Estimator] = {
    "es": Estimator(
        "es",
        later("meta.generation", "evolution_programs"),
        agents=lambda config: config.evolution.pairs,
        members=2,
        shares="pairs (half the population)",
        of_failed="they count as the worst",
        unread=("persistent",),
        ignores=("gradient", "persistent", "levels.antagonist.lanes"),
        curates=True,
        chooses=True,
    ),
    "meta-gradient": Estimator(
        "meta-gradient",
        later("meta.gradient", "gradient_programs"),
        agents=lambda config: config.gradient.lifetimes,
        members=1,
        shares="gradient.lifetimes",
        of_failed="others take their places",
        unread=("persistent",),
        ignores=("evolution", "persistent", "curriculum", "curriculum_options", "step_size_spread"),
        curates=True,
        differentiates=True,
    ),
    "pes": Estimator(
        "pes",
        later("meta.persistent", "persistent_programs"),
        agents=lambda config: config.evolution.pairs,
        members=2,
        shares="pairs (half the population)",
        of_failed="they count as the worst",
        ignores=(
            *("gradient", "levels", "curriculum", "curriculum_options"),
            *("evolution.keys", "step_size_spread"),
        ),
    ),
}
"""By the names in `EstimatorName`."""
