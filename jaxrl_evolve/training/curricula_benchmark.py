"""The benchmark of curricula: each is trained once at the same number of steps and tested level by level; all are reported together."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrl_evolve.results.report.text import csv_text
from jaxrl_evolve.settings.checks import whole
from jaxrl_evolve.storage.folder import plain, read_json, write_json, write_text
from jaxrl_evolve.training.benchmark import (
    REPORT,
    Cell,
    changed_by,
    check_left,
    finished,
    folder_name,
    left_out,
)
from jaxrl_evolve.training.curricula_report import OUTCOME, ROWS, CurriculaReport, Tested, curricula_report
from jaxrl_evolve.training.curricula_suite import METHODS, Protocol, find_protocol
from jaxrl_evolve.training.experiment import build
from jaxrl_evolve.training.groups import groups_of
from jaxrl_evolve.training.held_out import evaluate_levels
from jaxrl_evolve.training.held_out_config import HeldOut
from jaxrl_evolve.training.interrupts import Diverged, part_of_more
from jaxrl_evolve.training.memory import check_memory
from jaxrl_evolve.training.suites import CURRICULA
from jaxrl_evolve.training.train import train

TESTED = ("levels", "episodes", "level_seed", "env_episodes")
"""What of the test may be changed, for all."""


def benchmark_curricula(
    out: str | os.PathLike[str],
    *,
    presets: Sequence[str] = (),
    protocol: str = "small",
    seeds: int = 10,
    seed: int = 0,
    steps: int | None = None,
    evaluation: Sequence[str] = (),
    quiet: bool = True,
) -> CurriculaReport:
    """Train and test what is not there yet, and report all of the protocol.

    A cell, one curriculum with all seeds of one root seed, is a run folder ``out/CURRICULUM/PROTOCOL/seed-SEED``: who is
    interrupted goes on where it ended, in the middle of a cell too, and more curricula and root seeds join what is there. Where all
    seeds of a cell diverge the others go on, and the report says so.

    Args:
        out: folder of results.
        presets: curricula by name, each with options or none: ``"plr temperature=0.3"``; those of `METHODS` by default.
        protocol: of `PROTOCOLS`.
        seeds: how many of each root seed, side by side.
        seed: root seed. Curricula share it.
        steps: environment steps per seed instead of the protocol's, those that only score levels among them.
        evaluation: changes of the test, for all: ``"levels=500"``, of `TESTED`.
        quiet: show no progress.

    Raises:
        ValueError: a name is not known, an option is not allowed, or the folder holds cells of other steps or another test.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
        Diverged: of none of the cells a run is left.
    """
    out, sizes = Path(out), find_protocol(protocol)
    if steps is not None:
        sizes = dataclasses.replace(sizes, steps=whole("steps", steps, 1))
    sizes = dataclasses.replace(sizes, test=changed_by(sizes.test, evaluation, "evaluation", TESTED))
    plan = cells(out, protocol, sizes, presets, seeds, seed)
    restarts = {}
    for cell in plan:  # all are checked before the first is trained
        experiment = build(cell.config)
        check_memory(cell.config, experiment, groups_of(cell.config, None))
        restarts[cell.folder] = experiment.curriculum is not None and experiment.curriculum.restart
    _settle(out / f"{protocol}.json", sizes)
    lost: dict[Path, str] = {}
    for i, cell in enumerate(plan):
        where = f"{cell.label}, {i + 1} of {len(plan)}"
        with part_of_more(f"in {where}", f"before the test of {where}"):
            try:
                train(cell.config, cell.folder, resume=True, quiet=quiet)
            except Diverged as error:
                lost[cell.folder] = left_out(cell, error)
        if cell.folder not in lost:
            judge(cell.folder, sizes.test, restarts[cell.folder])
    made = None
    if len(lost) < len(plan) or _tested(out, protocol):
        made = report_curricula(out, protocol, notes=tuple(lost.values()))
    check_left(plan, lost)
    assert made is not None  # of some cell there is a run, which was tested
    return made


def cells(
    out: Path, protocol: str, sizes: Protocol, presets: Sequence[str], seeds: int, seed: int
) -> list[Cell]:
    """What is to be trained, the protocol in the place of the game.

    Raises:
        ValueError: a curriculum is not known, or named twice, or an option does not read so.
    """
    labels = [" ".join(text.split()) for text in presets or METHODS]
    plan = []
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise ValueError(f"presets has {label!r} twice")
        if not label:
            raise ValueError("presets has an empty name; it must be one of a curriculum")
        folder = out / folder_name(label) / protocol / f"seed-{seed}"
        plan.append(Cell(label, protocol, sizes.config(label, seeds, seed), folder))
    return plan


def _settle(path: Path, sizes: Protocol) -> None:
    """Write down the sizes of a protocol, or refuse others than are there.

    Raises:
        ValueError: naming the first that differs.
    """
    asked = plain(sizes)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asked)
    there = read_json(path)
    for name, value in asked.items():
        if there.get(name) != value:
            raise ValueError(
                f"{name} is {value}, but the cells in {path.parent} have {there.get(name)}; give another --out"
            )


def judge(folder: Path, held_out: HeldOut, restart: bool) -> None:
    """Test a finished run level by level, unless that is done; ``restart``: whether its episodes begin with every rollout."""
    asked, made = plain(held_out), read_json(folder / "result.json")["env_steps"]
    if (folder / OUTCOME).is_file():
        there = read_json(folder / OUTCOME)
        if (there["test"], there["env_steps"], there.get("restart")) == (asked, made, restart):
            return
    outcome, rows = evaluate_levels(folder, held_out)
    write_text(folder / ROWS, csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    write_json(folder / OUTCOME, {"test": asked, "restart": restart, **outcome})


def report_curricula(
    out: Path, protocol: str = "small", labels: Sequence[str] = (), notes: Sequence[str] = ()
) -> CurriculaReport:
    """Report the cells of a protocol that are there, without training any.

    Args:
        out: folder of results.
        protocol: whose.
        labels: of the curricula to report; all by default.
        notes: sentences on what is not there.

    Raises:
        ValueError: there are none.
    """
    tested = [cell for cell in tested_cells(out, protocol) if cell.label in (labels or [cell.label])]
    if not tested:
        raise ValueError(f"{out} holds no tested run of the protocol {protocol!r}")
    place = {label: i for i, label in enumerate(labels or METHODS)}
    tested.sort(key=lambda cell: place.get(cell.label, len(place)))  # others by name, as they come
    told = about(protocol, read_json(out / f"{protocol}.json"))
    return curricula_report(tested, out / REPORT / protocol, [*told, *notes])


def tested_cells(out: Path, protocol: str) -> list[Tested]:
    """The cells of a protocol that are trained and tested."""
    return [Tested.read(label, folder) for folder, label in _tested(out, protocol)]


def _tested(out: Path, protocol: str) -> list[tuple[Path, str]]:
    """Folders of tested cells of a protocol, with their labels."""
    return [
        (folder, label)
        for folder, label in finished(out)
        if folder.parent.name == protocol and (folder / OUTCOME).is_file()
    ]


def about(protocol: str, sizes: Mapping[str, Any]) -> list[str]:
    """Paragraphs on how the cells were made, from the sizes that are written down in ``PROTOCOL.json``."""
    env, asked = sizes["env_options"], sizes["test"]
    distinct = "distinct walls" if env.get("distinct") == "True" else "walls drawn with replacement"
    return [
        f"Success on {asked['levels']:,} solvable mazes of {env['size']} x {env['size']} with {env['walls']} {distinct} and a limit of "
        f"{env['max_steps']} steps, drawn from a fixed key, none chosen by training: {asked['episodes']} episodes on each say which are "
        f"the worst, {asked['episodes']} others how a seed does there. Interquartile means with their 95 % intervals over seeds.",
        f"Every curriculum had {sizes['steps']:,} steps of a seed, those that only score levels among them. PPO, GRU of "
        f"{sizes['memory_size']}, {sizes['num_envs']} environments x {sizes['rollout_length']} steps. Seconds are of the training of "
        "all seeds side by side. Options of curricula are their defaults but for those that are named; none was tuned on this task.",
        f"Command: `jaxrl-evolve benchmark {CURRICULA}{'' if protocol == 'small' else f' --protocol {protocol}'} --out FOLDER`.",
    ]
