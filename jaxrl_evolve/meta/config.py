"""The configuration of a meta-training: one frozen dataclass, to and from JSON."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Generic, TypeVar

import tyro

from jaxrl_evolve.algorithms.table import find_algorithm, find_preset
from jaxrl_evolve.meta.estimators import ESTIMATORS, Estimator, EstimatorName
from jaxrl_evolve.meta.evolution_config import EvolutionConfig
from jaxrl_evolve.meta.fitness_config import FitnessConfig
from jaxrl_evolve.meta.gradient_config import GradientConfig
from jaxrl_evolve.meta.groove_config import LevelsConfig
from jaxrl_evolve.meta.horizon_config import HorizonConfig
from jaxrl_evolve.meta.persistent_config import PersistentConfig
from jaxrl_evolve.objectives.families import ObjectiveFamily, find_family, time_of
from jaxrl_evolve.objectives.time_config import HorizonRange
from jaxrl_evolve.settings.checks import AtLeast, check, countable, root_seed, whole
from jaxrl_evolve.settings.nested import (
    UNWRITTEN_BY_DEFAULT,
    changed,
    expanded,
    from_fields,
    require_fields,
    update,
)
from jaxrl_evolve.settings.recorded import record_options
from jaxrl_evolve.storage.configurations import configuration_data, configuration_json, reading
from jaxrl_evolve.training.config import SinkConfig

S = TypeVar("S")
C = TypeVar("C")
H = TypeVar("H")


@dataclasses.dataclass(frozen=True)
class MetaTrainConfig(Generic[S, C, H]):
    """One meta-training: an objective, the lives it is judged by, and how it improves."""

    objective: Annotated[str, tyro.conf.Suppress]
    """What is meta-trained: lpg, ta-lpg, lpo, ta-lpo, disco, ta-disco, or an installed package's."""
    env: str
    """Environment or family of levels; `jaxrl-evolve list` names all. Where levels can be drawn, every pair of
    every generation lives on its own."""
    generations: int
    """Generations in the whole meta-training."""
    num_envs: int
    """Parallel environments of one agent."""
    rollout_length: int
    """Steps per environment and update."""
    resets: str
    """How ended episodes start anew: full, full:K, full:K:M, optimistic:K, pool:M or pool:M:RENEW."""
    settings: S
    """Settings of the objective."""
    evolution: EvolutionConfig
    """Evolution strategies."""
    horizons: HorizonConfig
    """Lifetimes."""
    learner: C
    """Static settings of the agents."""
    hp: H
    """Hyperparameters of the agents."""
    estimator: EstimatorName = "es"
    """How the objective's direction of improvement is found: by evolution strategies from whole lives, by
    differentiating through a few updates of each, or by evolution strategies from windows of long lives."""
    gradient: GradientConfig = dataclasses.field(default_factory=GradientConfig)
    """Meta-gradients."""
    persistent: PersistentConfig = dataclasses.field(default_factory=PersistentConfig)
    """Evolution strategies from windows of lives."""
    fitness: FitnessConfig = dataclasses.field(default_factory=FitnessConfig)
    """What a life is worth."""
    levels: LevelsConfig = dataclasses.field(default_factory=LevelsConfig)
    """Where levels come from."""
    curriculum: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """What chooses each life's horizon among `horizons.choices`, with `--horizons.kind arms`: a curriculum of arms
    (`jaxrl-evolve list curricula`)."""
    curriculum_options: dict[str, str] = dataclasses.field(
        default_factory=dict, metadata=UNWRITTEN_BY_DEFAULT
    )
    """Options of the curriculum as names and values."""
    env_options: dict[str, str] = dataclasses.field(default_factory=dict)
    """Options of the environment as names and values."""
    start: str = ""
    """Stored objective to start from: a name, a file, or a run folder. One that is blind to time starts a
    temporally-aware one exactly; else settings that give its parameters their meaning must be the same: those of the
    objective, what it reads of the time, and the range of horizons where that scales it. Other horizons are told."""
    step_size_spread: Annotated[float, AtLeast(1.0)] = dataclasses.field(
        default=1.0, metadata=UNWRITTEN_BY_DEFAULT
    )
    """The agents' step size is drawn for each life, log-uniformly, from that of `hp` divided by this number to that
    multiplied by it; 1 is the same for all."""
    tests: int = 16
    """Held-out lives under the current mean, whose horizons cover the range evenly in their logarithm."""
    test_every: int = 10
    """Generations between two tests; the last generation is always tested."""
    lanes: int = -1
    """Pairs that live side by side on one device, 0 for all; -1 leaves the choice to the device."""
    seed: int = 0
    """Root of all randomness."""
    keep: int = 2
    """Checkpoints kept, newest first; one is written after every generation."""
    sinks: SinkConfig = dataclasses.field(default_factory=SinkConfig)
    """Destinations of metrics."""

    def __post_init__(self) -> None:
        find_family(self.objective)
        check(self)
        record_options(self, [self.env])
        if self.levels.curated and not self.method.curates:
            serving = " or ".join(name for name, estimator in ESTIMATORS.items() if estimator.curates)
            raise ValueError(
                f"levels.kind is {self.levels.kind!r}, which estimator {self.estimator!r} does not serve; it must be "
                f"'uniform', or the estimator {serving}"
            )
        self._check_curriculum()
        if self.step_size_spread > 1.0 and "step_size_spread" in self.method.ignores:
            raise ValueError(
                f"step_size_spread is {self.step_size_spread}, which estimator {self.estimator!r} does not serve; it must be 1"
            )
        for name in ("generations", "num_envs", "rollout_length", "tests", "test_every", "keep"):
            whole(name, getattr(self, name), 1)
        if self.lanes < -1:
            raise ValueError(
                f"lanes is {self.lanes}; it must be -1 (automatic), 0 (all) or a number of pairs"
            )
        root_seed("seed", self.seed)
        countable(self.num_envs, self.rollout_length)

    def _check_curriculum(self) -> None:
        """Refuse a curriculum over horizons that nothing would heed."""
        name, kind = self.curriculum, self.horizons.kind
        if bool(name) != (kind == "arms"):
            raise ValueError(
                f"curriculum is {name!r}, but horizons.kind {kind!r}: a curriculum chooses among horizons.choices if that is "
                "'arms', and only then"
            )
        if self.curriculum_options and not name:
            raise ValueError(
                f"curriculum_options is {self.curriculum_options}, but there is no curriculum to take them"
            )
        if name and not self.method.chooses:
            serving = " or ".join(name for name, estimator in ESTIMATORS.items() if estimator.chooses)
            raise ValueError(
                f"curriculum is {name!r}, which estimator {self.estimator!r} does not serve; it must be empty, or the estimator {serving}"
            )
        if name and self.levels.curated:
            raise ValueError(
                f"curriculum is {name!r}, but levels.kind {self.levels.kind!r} chooses horizons with the levels; one of them must be left out"
            )

    @classmethod
    def preset(cls, objective: str, env: str = "", **changes: Any) -> MetaTrainConfig[Any, Any, Any]:
        """The settings to start from, with changes.

        Args:
            objective: a name that `find_family` knows.
            env: name of the environment; empty for the family's.
            changes: fields to replace. Those that hold dataclasses take mappings of the fields to change, or
                whole objects; ``generations`` is 100 if not given.

        Raises:
            ValueError: the objective or a field is not known, or a value is not allowed; or there is no environment.
        """
        family = find_family(objective)
        env = env or family.env
        if not env:
            raise ValueError(
                f"env is missing, and the family of {objective!r} names none to be meta-trained on"
            )
        preset = find_preset(family.algorithm, env)
        values: dict[str, Any] = {
            "generations": 100,
            "num_envs": preset.num_envs,
            "rollout_length": preset.rollout_length,
            "resets": preset.resets,
            "settings": family.trained.get(objective, family.members[objective]),
            "evolution": update(EvolutionConfig(), family.evolution, "evolution"),
            "horizons": update(HorizonConfig(), family.horizons, "horizons"),
            "learner": preset.config,
            "hp": update(preset.hp, family.hp, "hp"),
            "gradient": GradientConfig(),
            "persistent": PersistentConfig(),
            "fitness": FitnessConfig(),
            "levels": LevelsConfig(),
            "sinks": SinkConfig(),
        }
        return cls(objective=objective, env=env, **changed(cls, values, changes))

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | str | os.PathLike[str]) -> MetaTrainConfig[Any, Any, Any]:
        """The configuration that `to_json` gave.

        Args:
            source: its data, or a file or run folder that has them.

        Raises:
            ValueError: there is none, a field is missing or unknown, or a value is not allowed.
        """
        data = configuration_data(source, "meta-train")
        with reading(source, "meta-train"):
            if not isinstance(data.get("objective"), str):
                require_fields(cls, expanded(data).keys() - {"objective"})
            family = find_family(data["objective"])
            algorithm = find_algorithm(family.algorithm)
            open_types = {"settings": family.settings, "learner": algorithm.config, "hp": algorithm.hp}
            return from_fields(MetaTrainConfig, data, types=open_types)

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """JSON data as the ``config.json`` of a run folder has them; that leaves out fields of later versions at their
        defaults, which are there, too, if they are to be ``whole``.
        """
        return configuration_json(self, "meta-train", whole)

    @property
    def family(self) -> ObjectiveFamily:
        """What the objective's name means."""
        return find_family(self.objective)

    @property
    def method(self) -> Estimator:
        """What the estimator's name means."""
        return ESTIMATORS[self.estimator]

    @property
    def steps_per_update(self) -> int:
        """Environment steps of one agent's update."""
        return self.num_envs * self.rollout_length

    @property
    def horizon_range(self) -> HorizonRange:
        """The lifetimes that are trained on, in environment steps."""
        least, most = self.horizons.range
        return HorizonRange(float(least * self.steps_per_update), float(most * self.steps_per_update))

    @property
    def agents(self) -> int:
        """Agents, or pairs of them, that a generation can be split into."""
        return self.method.agents(self)

    @property
    def population(self) -> int:
        """Agents of a generation, each of a pair by itself."""
        return self.agents * self.method.members

    def complete_settings(self) -> Any:
        """The objective's settings, as the estimator needs them, time features scaled for the lifetimes that are
        trained on.
        """
        family = self.family
        settings = update(
            self.settings,
            family.of_gradients if self.method.differentiates else family.of_evolution,
            "settings",
        )
        time = time_of(settings)
        return replace(settings, time=replace(time, horizons=self.horizon_range)) if time.size else settings
