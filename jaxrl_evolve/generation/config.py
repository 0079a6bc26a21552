"""What is asked of a loop of generated environments."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.chat_config import ChatConfig
from jaxrl_evolve.generation.editor_config import EditorConfig
from jaxrl_evolve.generation.offline_config import OfflineConfig
from jaxrl_evolve.generation.open_ended_config import OpenEndedConfig
from jaxrl_evolve.generation.population_config import PopulationConfig
from jaxrl_evolve.learners.ppo_config import PPOConfig, PPOHyperparameters
from jaxrl_evolve.settings.checks import AtLeast, check, countable, root_seed
from jaxrl_evolve.settings.nested import from_fields
from jaxrl_evolve.storage.configurations import configuration_data, configuration_json, reading
from jaxrl_evolve.training.config import SinkConfig

PROPOSERS = ("offline", "llm", "recorded", "person", "editor")
"""The library's own (`proposers.BUILTIN_PROPOSERS`)."""


@dataclasses.dataclass(frozen=True)
class GenerateConfig:
    """One agent, PPO's, trained in environments that are generated as it learns, and in the one that they are generated for."""

    loop: Literal[
        "envgen",
        "envgen-mixed",
        "fixed",
        "easy-to-hard",
        "adversarial",
        "original-only",
        "dicode",
        "mutation",
        "population",
        "levels",
        "open-ended",
    ] = "envgen"
    """What is proposed when, and what is played in which shares."""
    proposer: str = "offline"
    """Who proposes: `offline`, `llm`, `recorded`, `person`, `editor`, or one that a package or a program adds; whatever is missing comes from the offline
    one."""
    env: str = "specs/tech-tree"
    """The original, for which environments are generated."""
    env_options: dict[str, str] = dataclasses.field(default_factory=dict)
    """Options of the environment as names and values."""
    file: str = ""
    """Of `recorded` the file of answers, of `person` that of specs, JSON, of one's own what it takes; the others read none."""
    cycles: Annotated[int, AtLeast(1)] = 4
    """Cycles of proposing, training and evaluating."""
    specs: Annotated[int, AtLeast(1)] = 4
    """New specs in a cycle, at most."""
    cycle_steps: Annotated[int, AtLeast(1)] = 245_760
    """Environment steps in a cycle, in generated specs and the original together, rounded up to whole updates."""
    final_steps: Annotated[int, AtLeast(0)] = 0
    """Steps in the original after the last cycle."""
    curriculum: str = ""
    """Curriculum of levels that chooses among the specs of a phase, rollout by rollout (`plr`, `mna`, `sfl`), or, of the loop `levels`, among the
    environment's own levels (`random` and all of `list curricula` that have no agents of their own). Empty for shares that are kept through a phase; of the
    loop `levels` empty is `random`: levels are drawn anew, which is domain randomisation.
    A level is scored by whole rollouts, so `rollout_length` must hold an episode of the original."""
    unit: Literal["steps", "episodes"] = "steps"
    """Of what shares are kept: of steps, where a slot keeps its spec through a phase, or of episodes, where it draws one for each."""
    num_envs: Annotated[int, AtLeast(1)] = 64
    """Parallel environments."""
    rollout_length: Annotated[int, AtLeast(1)] = 64
    """Steps per environment and update."""
    learner: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    """Static settings of PPO."""
    hp: PPOHyperparameters = dataclasses.field(default_factory=PPOHyperparameters)
    """Hyperparameters of PPO; schedules run over the whole loop."""
    episodes: Annotated[int, AtLeast(1)] = 128
    """Episodes in the original after each cycle, from which feedback is told."""
    archive: ArchiveConfig = dataclasses.field(default_factory=ArchiveConfig)
    """When specs change their status."""
    offline: OfflineConfig = dataclasses.field(default_factory=OfflineConfig)
    """Numbers of the offline proposer."""
    acceptance: Annotated[int, AtLeast(0)] = 0
    """Episodes of the agent in each proposal before it is taken up, which count as validation: what it masters (`archive.mastery`) is refused, and
    what it never does left alone for `archive.retry` cycles. XLand's test wants 32 at least; 0 takes specs in without."""
    witness: Annotated[int, AtLeast(0)] = 0
    """Tries of a scripted player in each proposal in which the agent was not seen to succeed, which count as validation: where it wins none, the spec is
    left alone for `archive.retry` cycles. 0 asks for no witness."""
    background: bool = False
    """Whether the specs of a cycle are asked for while the cycle before trains, by what was known at its begin, so that a slow proposer holds
    nothing up."""
    patience: Annotated[float, AtLeast(0.0)] = 600.0
    """Seconds that are waited at the end of a cycle, in background, before the offline proposer fills in; what is late is taken up later."""
    open_ended: OpenEndedConfig = dataclasses.field(default_factory=OpenEndedConfig)
    """Of the loop `open-ended` alone."""
    population: PopulationConfig = dataclasses.field(default_factory=PopulationConfig)
    """Of the loop `population` alone."""
    chat: ChatConfig = dataclasses.field(default_factory=ChatConfig)
    """The language model of the proposer `llm`."""
    editor: EditorConfig = dataclasses.field(default_factory=EditorConfig)
    """Numbers of the proposer `editor`, an agent that edits terrain; what it costs counts as steps of proposing."""
    seed: int = 0
    """Root of all randomness."""
    keep: Annotated[int, AtLeast(1)] = 2
    """Checkpoints kept, newest first; there is one after each cycle."""
    sinks: SinkConfig = dataclasses.field(default_factory=SinkConfig)
    """Destinations of metrics."""

    def __post_init__(self) -> None:
        check(self)
        root_seed("seed", self.seed)
        countable(self.num_envs, self.rollout_length, self.cycle_steps)
        if self.proposer in ("recorded", "person") and not self.file:
            raise ValueError(f"file is empty, but the proposer {self.proposer} reads one: it must be a path")
        if self.proposer in ("offline", "llm", "editor") and self.file:
            raise ValueError(
                f"file is {self.file!r}, but the proposer {self.proposer} reads none: it must be empty"
            )
        if self.loop == "open-ended" and self.final_steps:
            raise ValueError(
                f"final_steps is {self.final_steps}, but the loop open-ended is for no original: it must be 0"
            )
        if self.acceptance and self.loop in ("open-ended", "population"):
            raise ValueError(
                f"acceptance is {self.acceptance}, but the loop {self.loop} has no one agent that could take specs in: it must be 0"
            )
        if self.witness and self.loop in ("open-ended", "population"):
            raise ValueError(
                f"witness is {self.witness}, but the loop {self.loop} decides by itself which specs are too hard: it must be 0"
            )
        if self.background and self.loop not in ("envgen", "envgen-mixed", "dicode"):
            raise ValueError(
                f"background is True, but the loop {self.loop} asks nobody a cycle ahead: it must be False, or the loop one of envgen, envgen-mixed, dicode"
            )
        if self.curriculum and self.loop in ("original-only", "open-ended"):
            raise ValueError(
                f"curriculum is {self.curriculum!r}, but the loop {self.loop} leaves nothing to choose: it must be empty"
            )
        if self.curriculum and self.unit == "episodes":
            raise ValueError(
                f"unit is 'episodes', but the curriculum {self.curriculum} chooses by rollouts: it must be 'steps'"
            )
        if self.archive.active < self.specs + 1:
            raise ValueError(
                f"archive.active is {self.archive.active} and specs {self.specs}; active must be at least {self.specs + 1}, so that the original "
                "and the new specs can be played"
            )

    @property
    def steps_per_update(self) -> int:
        """Environment steps of an update."""
        return self.num_envs * self.rollout_length

    @property
    def cycle_updates(self) -> int:
        """Updates in a cycle."""
        return -(-self.cycle_steps // self.steps_per_update)

    @property
    def final_updates(self) -> int:
        """Updates after the last cycle."""
        return -(-self.final_steps // self.steps_per_update)

    @property
    def updates(self) -> int:
        """Updates in the whole loop."""
        return self.cycles * self.cycle_updates + self.final_updates

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | str | os.PathLike[str]) -> GenerateConfig:
        """The configuration that a folder has.

        Raises:
            ValueError: there is none, a field is missing or unknown, or a value is not allowed.
        """
        data = configuration_data(source, "generate")
        with reading(source, "generate"):
            return from_fields(cls, data)

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """JSON data as the ``config.json`` of a run folder has them."""
        return configuration_json(self, "generate", whole)
