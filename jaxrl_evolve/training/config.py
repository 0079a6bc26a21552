"""The configuration of a training run: one frozen dataclass, to and from JSON."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

import tyro

from jaxrl_evolve.algorithms.table import find_algorithm, find_preset
from jaxrl_evolve.settings.checks import check, countable, root_seed, whole
from jaxrl_evolve.settings.names import require_name
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT, changed, expanded, from_fields, require_fields
from jaxrl_evolve.settings.recorded import record_options
from jaxrl_evolve.storage.configurations import configuration_data, configuration_json, reading

C = TypeVar("C")
H = TypeVar("H")

REQUIRED = "(required, unless --config gives it)"
"""What the help says of a field instead of a default."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How trained agents are evaluated, in environments of their own."""

    times: int = 10
    """Evaluations during training, evenly spaced; the last is at the end."""
    episodes: int = 32
    """Whole episodes per seed and evaluation during training."""
    final_episodes: int = 128
    """Whole episodes per seed in the final evaluation, which is the reported one."""
    max_steps: int | None = None
    """Steps after which an evaluation episode is cut off; None for the environment's own limit, and 10,000 where it has
    none or a shorter one."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    probe: int = dataclasses.field(default=0, metadata=UNWRITTEN_BY_DEFAULT)
    """Tasks of a fixed probe set, the same for all seeds, an episode on each at every evaluation; with a curriculum of arms so many of
    each arm. Nothing is learned from them, and a curriculum is not told of them. 0 is none."""


@dataclasses.dataclass(frozen=True)
class SinkConfig:
    """Where metrics go besides JSON lines and CSV, which are always written."""

    tensorboard: bool = False
    """Write TensorBoard event files."""
    wandb: Literal["off", "online", "offline"] = "off"
    """Write to Weights & Biases."""
    wandb_project: str = "jaxrl_evolve"
    """Project name there."""
    per_seed: bool = False
    """Every seed by itself instead of mean and interquartile mean (TensorBoard and W&B)."""


@dataclasses.dataclass(frozen=True)
class TrainConfig(Generic[C, H]):
    """One training run of several seeds."""

    algorithm: Annotated[str, tyro.conf.Suppress]
    """What learns; `jaxrl-evolve list` names all."""
    env: Annotated[str, tyro.conf.arg(help_behavior_hint=REQUIRED)]
    """Name of the environment; `jaxrl-evolve list` names all."""
    steps: int
    """Environment steps per seed (rounded up to whole updates)."""
    num_envs: int
    """Parallel environments per seed."""
    rollout_length: int
    """Steps per environment and update."""
    resets: str
    """How ended episodes start anew: full, full:K, full:K:M, optimistic:K, pool:M or pool:M:RENEW."""
    learner: C
    """Static settings of the algorithm."""
    hp: H
    """Hyperparameters of the algorithm; a sweep varies them without compiling anew."""
    env_options: dict[str, str] = dataclasses.field(default_factory=dict)
    """Options of the environment as names and values, e.g. `--env_options backend mjx`."""
    objective: str = ""
    """What to minimise: a name (`jaxrl-evolve list objectives`), or the path of a stored objective or of the run
    folder of its meta-training; empty for the algorithm's own."""
    objective_sha256: Annotated[str, tyro.conf.Suppress] = dataclasses.field(
        default="", metadata=UNWRITTEN_BY_DEFAULT
    )
    """Checksum of the stored objective's file, found when a run starts; a resumed run refuses another."""
    start: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """Run folder whose trained weights to start from, FOLDER:RUN for one of its runs (counted from 0); without it
    every seed starts from the run of its number, or all from the only one. Or the folder of a published model whose
    shape the run's decoder has. The optimiser starts anew."""
    start_sha256: Annotated[str, tyro.conf.Suppress] = dataclasses.field(
        default="", metadata=UNWRITTEN_BY_DEFAULT
    )
    """Checksum of these weights, found when a run starts."""
    curriculum: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """What chooses the task of each episode (`jaxrl-evolve list`); empty for the environment's one task."""
    curriculum_options: dict[str, str] = dataclasses.field(
        default_factory=dict, metadata=UNWRITTEN_BY_DEFAULT
    )
    """Options of the curriculum as names and values."""
    count_scoring: bool = dataclasses.field(default=False, metadata=UNWRITTEN_BY_DEFAULT)
    """Whether `steps` is all that a seed may play, with the steps by which a curriculum only scores levels. When the run starts,
    `steps` becomes what is left for training."""
    seeds: int = 1
    """Number of seeds, trained side by side."""
    seed: int = 0
    """Root of all randomness; seed i of a run does not depend on how many there are."""
    group: int = 0
    """Seeds held on the device at a time; 0 is all. Smaller groups bound memory."""
    rows: int = 50
    """Rows of metrics in the whole run; training can be interrupted between two of them."""
    checkpoints: int = 10
    """Checkpoints in the whole run, evenly spaced."""
    keep: int = 2
    """Checkpoints kept, newest first."""
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    """Evaluation."""
    sinks: SinkConfig = dataclasses.field(default_factory=SinkConfig)
    """Destinations of metrics."""

    def __post_init__(self) -> None:
        for name in ("algorithm", "env", "objective", "curriculum"):
            require_name(name, getattr(self, name))
        check(self)
        for name in ("steps", "num_envs", "rollout_length", "seeds", "rows", "checkpoints", "keep"):
            whole(name, getattr(self, name), 1)
        whole("group", self.group, 0)
        root_seed("seed", self.seed)
        countable(self.num_envs, self.rollout_length, self.steps)
        for name in ("times", "episodes", "final_episodes", "max_steps"):
            value = getattr(self.evaluation, name)
            if (name, value) != ("max_steps", None):
                whole(f"evaluation.{name}", value, 1)
        whole("evaluation.probe", self.evaluation.probe, 0)
        record_options(self, [self.env])

    @classmethod
    def preset(cls, algorithm: str, env: str, **changes: Any) -> TrainConfig[Any, Any]:
        """The tuned settings of an algorithm for an environment, with changes.

        Args:
            algorithm: its name.
            env: name of the environment.
            changes: fields to replace; ``steps`` is 1,000,000 if not given. ``hp`` and ``learner`` take
                mappings of the fields to change, or whole objects; names may be dotted, ``{"hp.learning_rate": 1e-3}``.

        Raises:
            ValueError: the algorithm or a field is not known, or a value is not allowed.
        """
        require_name("algorithm", algorithm)
        require_name("env", env)
        preset = find_preset(algorithm, env)
        values: dict[str, Any] = {
            "steps": 1_000_000,
            "num_envs": preset.num_envs,
            "rollout_length": preset.rollout_length,
            "resets": preset.resets,
            "learner": preset.config,
            "hp": preset.hp,
            "evaluation": EvaluationConfig(),
            "sinks": SinkConfig(),
        }
        return cls(algorithm=algorithm, env=env, **changed(cls, values, changes))

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | str | os.PathLike[str]) -> TrainConfig[Any, Any]:
        """The configuration that `to_json` gave.

        Args:
            source: its data, or a file or run folder that has them.

        Raises:
            ValueError: there is none, a field is missing or unknown, or a value is not allowed.
        """
        data = configuration_data(source, "train")
        with reading(source, "train"):
            if not isinstance(data.get("algorithm"), str):
                require_fields(cls, expanded(data).keys() - {"algorithm"})
            found = find_algorithm(data["algorithm"])
            return from_fields(TrainConfig, data, types={"learner": found.config, "hp": found.hp})

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """JSON data as the ``config.json`` of a run folder has them; that leaves out fields of later versions at their
        defaults, which are there, too, if they are to be ``whole``.
        """
        return configuration_json(self, "train", whole)

    def unpinned(self, other: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """Without the checksums of ``other``'s files, where this configuration names other files."""
        changes = {
            f"{name}_sha256": ""
            for name in ("objective", "start")
            if getattr(self, name) != getattr(other, name)
        }
        return dataclasses.replace(self, **changes)

    @property
    def steps_per_update(self) -> int:
        """Environment steps of one seed's update."""
        return self.num_envs * self.rollout_length

    @property
    def updates(self) -> int:
        """Updates in the whole run, rounded up."""
        return -(-self.steps // self.steps_per_update)

    @property
    def env_steps(self) -> int:
        """Environment steps per seed that the run really makes."""
        return self.updates * self.steps_per_update
