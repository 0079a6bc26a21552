"""`jaxrl-evolve evaluate`."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxrl_evolve.command.arguments import Command, Devices, checkpoint, parser
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Evaluate trained agents."""

    folder: tyro.conf.Positional[str]
    """Run folder."""
    episodes: int = 128
    """Whole episodes per seed; not of levels and arm_levels alone, which have level_episodes."""
    mode: Literal["greedy", "sample"] = "greedy"
    """Take the policy's mode, or sample from it."""
    seed: int = 0
    """Root of the episodes' randomness."""
    step: int = -1
    """Checkpoint, by its number of updates; -1 for the newest."""
    max_steps: int | None = None
    """Steps after which an episode is cut off; None for the environment's own limit, and 10,000 where it has none or a
    shorter one."""
    levels: int = 0
    """Solvable levels of the environment to test on, one by one, drawn from a fixed key; 0 for an ordinary evaluation."""
    cvar: tuple[float, ...] = (0.1, 0.01)
    """With levels: shares of them whose worst are reported, judged by other episodes than those they are chosen by."""
    level_episodes: int = 10
    """With levels or arm_levels: whole episodes on each, in each of two samples."""
    level_seed: int = 0
    """Root of the levels' randomness."""
    arm_levels: int = 0
    """Tasks of each arm to test on, drawn from a fixed key, for success arm by arm; 0 for none."""
    arms: str = ""
    """With arm_levels: which arms, as `curriculum_options arms` names them, such as length=5,10; those of the run's curriculum, or
    of the environment, by default."""
    pass_at: tuple[int, ...] = ()
    """With levels or arm_levels: numbers of tries on a level of which at least one has to succeed (pass@k), at most twice level_episodes."""
    held_out: tuple[str, ...] = ()
    """Other environments to test on, by name or by patterns of names, such as maze/labyrinth* (with --episodes on each)."""
    held_out_options: dict[str, str] = dataclasses.field(default_factory=dict)
    """Options of these as names and values, such as max_steps 450."""
    table: str = ""
    """With levels, held_out or arm_levels: CSV file to write, a row for each run and level."""
    devices: Annotated[Devices, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Devices)


_READ_WITH = {
    "cvar": ("levels",),
    "level_episodes": ("levels", "arm_levels"),
    "pass_at": ("levels", "arm_levels"),
    "level_seed": ("levels", "held_out", "arm_levels"),
    "arms": ("arm_levels",),
    "held_out_options": ("held_out",),
    "table": ("levels", "held_out", "arm_levels"),
}
"""Options that are read only with one of others."""


def _check_read(arguments: Arguments) -> None:
    """Refuse an option that was changed and would not be read, and a table that could not be written.

    Raises:
        ValueError: naming it and why.
    """
    usual = Arguments(arguments.folder)
    for name, others in _READ_WITH.items():
        if getattr(arguments, name) != getattr(usual, name) and not any(
            getattr(arguments, x) for x in others
        ):
            missing = f"{'neither ' if others[1:] else 'not '}{' nor '.join(others)}"
            raise ValueError(f"{name} is given, but {missing}, to which it belongs")
    if arguments.episodes != usual.episodes and not arguments.held_out:
        for name in ("levels", "arm_levels"):
            if getattr(arguments, name):
                raise ValueError(f"episodes is given, but {name} has level_episodes on each level instead")
    if arguments.table and not Path(arguments.table).parent.is_dir():  # said before minutes of playing
        raise ValueError(f"table is {arguments.table!r}, in a folder that does not exist")


def _run(arguments: Arguments) -> str:
    from jaxrl_evolve.training.restore import evaluate_folder

    step = checkpoint(arguments.step)
    start(arguments.devices)
    _check_read(arguments)
    if arguments.levels or arguments.held_out or arguments.arm_levels:
        return _told(_on_levels(arguments, step))
    outcome = evaluate_folder(
        arguments.folder,
        arguments.episodes,
        mode=arguments.mode,
        seed=arguments.seed,
        step=step,
        max_steps=arguments.max_steps,
    )
    return _told(outcome)


def _told(outcome: dict[str, Any]) -> str:
    """As JSON, a line for each name: numbers of many runs stand side by side."""
    from jaxrl_evolve.storage.folder import plain

    text = json.dumps(plain(outcome), indent=2)
    numbers = r'\[\s+([^][{}"]*?)\s+\]'
    return re.sub(numbers, lambda found: f"[{' '.join(found[1].split())}]", text)


def _on_levels(arguments: Arguments, step: int | None) -> dict[str, Any]:
    from jaxrl_evolve.results.report.text import csv_text
    from jaxrl_evolve.storage.folder import write_text
    from jaxrl_evolve.training.held_out import evaluate_levels
    from jaxrl_evolve.training.held_out_config import HeldOut

    held_out = HeldOut(
        levels=arguments.levels,
        episodes=arguments.level_episodes,
        shares=arguments.cvar,
        level_seed=arguments.level_seed,
        envs=arguments.held_out,
        env_options=arguments.held_out_options,
        env_episodes=arguments.episodes,
        arm_levels=arguments.arm_levels,
        arms=arguments.arms,
        pass_at=arguments.pass_at,
    )
    outcome, rows = evaluate_levels(
        arguments.folder,
        held_out,
        mode=arguments.mode,
        seed=arguments.seed,
        step=step,
        max_steps=arguments.max_steps,
    )
    if arguments.table:
        write_text(arguments.table, csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    return outcome


COMMAND = Command(
    usage="evaluate FOLDER",
    summary="evaluate trained agents",
    parse=parser(Arguments, "evaluate"),
    run=_run,
)
