"""The configuration of a meta-test: one frozen dataclass, to and from JSON."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import tyro

from jaxrl_evolve.settings.checks import check, countable, root_seed, whole
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.settings.nested import from_fields
from jaxrl_evolve.settings.recorded import record_options
from jaxrl_evolve.storage.configurations import configuration_data, configuration_json, reading

BASELINES = ("ppo", "ppo-constant", "a2c", "a2c-constant", "random")
"""Written algorithms to compare with: learning rate annealed to zero or constant, and a policy that never learns."""

ABLATIONS = ("frozen", "shuffled", "wrong")
"""Clocks that lie; ``wrong`` stands for two, a horizon of four times and of a quarter of the true one."""


@dataclasses.dataclass(frozen=True)
class TuningConfig:
    """How baselines are tuned: a grid, judged on tasks that are never reported."""

    learning_rates: tuple[float, ...] = ()
    """Candidate step sizes; none given takes those for the kind of agent: multiples of the preset's, and in grid
    worlds those that suit tables."""
    entropy_coefs: tuple[float, ...] = (0.0, 0.01, 0.1)
    """Candidate weights of the entropy bonus."""
    seeds: int = 0
    """Validation tasks per candidate and horizon; 0 for as many as are reported."""
    per_horizon: bool = False
    """Choose anew at each horizon, which makes the strongest baseline; else once per environment, by the mean over
    the horizons."""
    objectives: bool = False
    """Tune agents under learned objectives, too, over the same grid (of what they read)."""
    off: bool = False
    """Leave everything at its preset."""

    def __post_init__(self) -> None:
        check(self)
        if min(self.learning_rates, default=1.0) <= 0:
            raise ValueError(f"tuning.learning_rates is {self.learning_rates}; step sizes must be above 0")
        if not self.entropy_coefs or min(self.entropy_coefs) < 0:
            raise ValueError(
                f"tuning.entropy_coefs is {self.entropy_coefs}; there must be at least one, none below 0"
            )
        whole("tuning.seeds", self.seeds, 0)


@dataclasses.dataclass(frozen=True)
class MetaTestConfig:
    """One meta-test: arms that learn on the same tasks with the same random numbers."""

    objectives: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME|FILE|FOLDER|LABEL=…,…")] = ()
    """Learned objectives: names, files, run folders of meta-trainings, or folders of such run folders. Several files
    of one label are its meta-seeds: `--objectives ta-lpg=runs/ta-lpg-0,runs/ta-lpg-1 lpg=runs/lpg`."""
    envs: tuple[str, ...] = ("grid/random-small",)
    """Environments, or families of levels, of which each agent seed gets one of its own."""
    horizons: tuple[int, ...] = (10, 25, 50, 100, 250, 500, 1000)
    """Lifetimes in updates."""
    seeds: int = 16
    """Agents per objective, environment and horizon."""
    baselines: tuple[str, ...] = ("ppo", "ppo-constant", "a2c", "random")
    """Written algorithms to compare with: ppo and a2c anneal the learning rate, ppo-constant and a2c-constant do not,
    random never learns."""
    ablations: tuple[str, ...] = ()
    """Wrong clocks for each objective that reads one: frozen, shuffled, wrong."""
    num_envs: int = 0
    """Parallel environments of each agent; 0 for what the objectives were trained with, if their files say so, else
    the preset's."""
    rollout_length: int = 0
    """Steps per environment and update; 0 likewise."""
    resets: str = ""
    """How ended episodes start anew; empty for the preset's."""
    agents: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ALGORITHM|ARM.FIELD=VALUE")] = ()
    """Settings of the agents (lpg's for LPG objectives, ppo's for LPO and PPO, a2c's) that replace the preset's, or of
    one arm by its label: `--agents lpg.hp.learning_rate=20 ppo.learner.epochs=2 ta-lpo.hp.learning_rate_end=1`. The step
    size under a learned objective is constant or annealed as in its meta-training, where its file says so."""
    env_options: dict[str, str] = dataclasses.field(default_factory=dict)
    """Options of the environments as names and values."""
    tuning: TuningConfig = dataclasses.field(default_factory=TuningConfig)
    """Tuning of the baselines."""
    episodes: int = 64
    """Whole episodes, sampled from the finished agent's policy, whose mean return is its score."""
    max_steps: int = 1_000
    """Steps after which such an episode is cut off."""
    normaliser: Literal["auto", "scale", "none"] = "auto"
    """What returns are divided by: the exact optimum where the environment knows it, else nothing; the library's
    scale of the environment, 0 for random and 1 for its reference; or nothing at all."""
    bins: int = 10
    """Parts of a lifetime whose schedules are recorded."""
    resamples: int = 2_000
    """Bootstrap resamples for each interval."""
    lanes: int = -1
    """Agents that live side by side on one device, 0 for all; -1 leaves the choice to the device."""
    seed: int = 0
    """Root of all randomness."""

    def __post_init__(self) -> None:
        if not self.objectives and not self.baselines:
            raise ValueError("objectives and baselines are both empty; there is nothing to compare")
        if not self.envs:
            raise ValueError("envs is empty; there must be at least one environment")
        record_options(self, self.envs)
        if not self.horizons:
            raise ValueError("horizons is empty; there must be at least one lifetime")
        for horizon in self.horizons:
            whole("horizons", horizon, 1)
        for name in ("envs", "horizons", "baselines", "ablations"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} is {values}; each can be there once only")
        for name, known in (("baselines", BASELINES), ("ablations", ABLATIONS)):
            for value in getattr(self, name):
                if value not in known:
                    raise ValueError(
                        f"{name[:-1]} is {value!r}, which is not known: {suggestion(value, known)}"
                    )
        for name in ("seeds", "episodes", "max_steps", "bins", "resamples"):
            whole(name, getattr(self, name), 1)
        for name in ("num_envs", "rollout_length"):
            whole(name, getattr(self, name), 0)
        root_seed("seed", self.seed)
        countable(max(1, self.num_envs), max(1, self.rollout_length))
        whole("lanes", self.lanes, -1)
        check(self)

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | str | os.PathLike[str]) -> MetaTestConfig:
        """The configuration that `to_json` gave.

        Args:
            source: its data, or a file or run folder that has them.

        Raises:
            ValueError: there is none, a field is missing or unknown, or a value is not allowed.
        """
        data = configuration_data(source, "meta-test")
        with reading(source, "meta-test"):
            return from_fields(MetaTestConfig, data)

    def to_json(self, *, whole: bool = False) -> dict[str, Any]:
        """JSON data as the ``config.json`` of a run folder has them; that leaves out fields of later versions at their
        defaults, which are there, too, if they are to be ``whole``.
        """
        return configuration_json(self, "meta-test", whole)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The horizons in ascending order, as all results have them."""
        return tuple(sorted(self.horizons))

    @property
    def validation_seeds(self) -> int:
        """Validation tasks per candidate."""
        return self.tuning.seeds or self.seeds
