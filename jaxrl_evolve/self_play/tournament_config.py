"""What is asked of a tournament of trained policies."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import tyro

from jaxrl_evolve.settings.checks import AtLeast, check, root_seed
from jaxrl_evolve.settings.nested import UNWRITTEN_BY_DEFAULT, from_fields
from jaxrl_evolve.storage.configurations import configuration_data, reading


@dataclasses.dataclass(frozen=True)
class TournamentConfig:
    """Who meets whom."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN…")]
    """Run folders, all of one environment; FOLDER:RUN for one of its runs (counted from 0), else all of them."""
    checkpoints: bool = False
    """Whether every checkpoint in a folder takes part, or the newest."""
    policy: Literal["last", "average", "snapshots"] = "last"
    """The policy of the checkpoint; the moving average that EMA-SPO keeps; or, one drawn for each episode, the sample of all policies that a run with
    `--learner.snapshots K` keeps."""
    mode: Literal["sample", "greedy"] = "sample"
    """How policies act."""
    preference: str = ""
    """Who judges, as `train spo --learner.preference`; empty for whom the first run was trained with."""
    criteria: str = dataclasses.field(default="", metadata=UNWRITTEN_BY_DEFAULT)
    """What `populations` judge by, as `train spo --learner.criteria`; empty for what the first run was trained with."""
    episodes: Annotated[int, AtLeast(2)] = 128
    """Episodes of each policy; all of one are compared with all of another."""
    soft: bool = False
    """Whether the judge tells its probability instead of drawing a label."""
    seed: int = 0
    """Root of all randomness."""

    def __post_init__(self) -> None:
        check(self)
        root_seed("seed", self.seed)
        if not self.runs:
            raise ValueError("runs is empty; it must name at least one run folder")
        for run in self.runs:
            if self.runs.count(run) > 1:
                raise ValueError(f"runs has {run!r} twice")

    @classmethod
    def from_json(cls, source: Mapping[str, Any] | str | os.PathLike[str]) -> TournamentConfig:
        """The configuration that a folder has.

        Raises:
            ValueError: there is none, a field is missing or unknown, or a value is not allowed.
        """
        data = configuration_data(source, "tournament")
        with reading(source, "tournament"):
            return from_fields(cls, {**data, "runs": tuple(data.get("runs", ()))})
