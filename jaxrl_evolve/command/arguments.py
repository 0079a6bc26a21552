"""What the command's subcommands take: dataclasses whose field docstrings are the help texts."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import tyro


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a run goes."""

    out: str
    """Run folder to write. One that is not empty is refused, unless --resume or --overwrite."""
    resume: bool = False
    """Continue the run in the folder, if there is one."""
    overwrite: bool = False
    """Delete the run in the folder first."""
    quiet: bool = False
    """Show no progress and no summary."""


@dataclasses.dataclass(frozen=True)
class Devices:
    """What it runs on."""

    coordinator: str = ""
    """Address `host:port` of the first process, to train on several hosts; 'auto' where the cluster tells
    (SLURM, TPU pods). Every process gets the same command."""
    processes: int = 0
    """Number of processes (not with 'auto')."""
    process_id: int = -1
    """This process's number, from 0 (not with 'auto')."""
    cache: str = ""
    """Folder of the compilation cache; empty for the user's cache folder, 'off' for none."""


@dataclasses.dataclass(frozen=True)
class EvaluateArguments:
    """Evaluate trained agents."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    episodes: int = 128
    """Whole episodes per seed."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    seed: int = 0
    """Root of the episodes' randomness."""
    step: int = -1
    """Checkpoint, by its number of updates; -1 for the newest."""
    max_steps: int = 10_000
    """Steps after which an episode is cut off."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = Devices()


@dataclasses.dataclass(frozen=True)
class RenderArguments:
    """Draw an episode of a trained agent as a GIF."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    out: str = ""
    """File to write; empty for episode.gif in the run folder."""
    run: int = 0
    """Which run of the folder, counted from 0."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    seed: int = 0
    """Root of the episode's randomness."""
    max_steps: int = 1_000
    """Steps after which the episode is cut off."""
    fps: int = 30
    """Frames per second."""


@dataclasses.dataclass(frozen=True)
class ResumeArguments:
    """Continue an interrupted run, sweep, meta-training or meta-test."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    step: int = -1
    """Checkpoint to go on from, by its number of updates (of generations, in a meta-training); -1 for the newest
    (and always, for a sweep)."""
    quiet: bool = False
    """Show no progress and no summary."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = Devices()


@dataclasses.dataclass(frozen=True)
class ReportArguments:
    """Compare finished runs: a table, figures and statistics."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    out: str = "report"
    """Folder to write."""


@dataclasses.dataclass(frozen=True)
class ListArguments:
    """Name what there is."""

    what: tyro.conf.Positional[Literal["all", "environments", "algorithms", "objectives"]] = "all"
    """Which kind."""


@dataclasses.dataclass(frozen=True)
class SweepSpace:
    """What a sweep varies."""

    grid: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=V1,V2,…")] = ()
    """Fields and their values, every combination: `--grid hp.learning_rate=1e-3,3e-4 num_envs=4,16`. Points that
    differ in hp alone run side by side in one program; other fields compile anew."""
    random: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=[log:]LOW:HIGH")] = ()
    """Hyperparameters and their ranges, drawn uniformly: `--random hp.learning_rate=log:1e-4:1e-2`."""
    samples: int = 8
    """Draws from the random ranges (for each point of the grid)."""


@dataclasses.dataclass(frozen=True)
class MetaSweepSpace:
    """What a sweep of meta-trainings varies."""

    seeds: int = 5
    """Meta-seeds: meta-trainings of every point, whose seeds count up from --seed."""
    grid: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=V1,V2,…")] = ()
    """Fields and their values, every combination: `--grid evolution.sigma=0.03,0.1 horizons.high=100,250`."""
