"""A benchmark: every preset on every game, each a run in one folder of results, and a report over all that is there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax

from jaxrl_evolve.results.report import Report, report
from jaxrl_evolve.results.report.published import published_section
from jaxrl_evolve.settings.fields import field_name, parse_field
from jaxrl_evolve.settings.nested import update
from jaxrl_evolve.storage.folder import plain, read_json
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, build, limited
from jaxrl_evolve.training.groups import groups_of
from jaxrl_evolve.training.interrupts import Diverged, part_of_more
from jaxrl_evolve.training.memory import check_memory
from jaxrl_evolve.training.suites import Suite, find_suite
from jaxrl_evolve.training.train import train

C = TypeVar("C")

CHANGED = ("learner", "hp", "num_envs", "rollout_length", "resets", "objective", "group")
"""What a preset may change; the rest is the benchmark's protocol."""

REPORT = "report"
"""The folder of the report in that of the benchmark."""


class Cell(NamedTuple):
    """One preset on one game.

    Attributes:
        label: the preset, with what it changes.
        game: of the benchmark.
        config: what is trained.
        folder: its run folder.
    """

    label: str
    game: str
    config: TrainConfig[Any, Any]
    folder: Path


def benchmark(
    name: str,
    out: str | os.PathLike[str],
    *,
    presets: Sequence[str] = (),
    games: Sequence[str] = (),
    seeds: int = 5,
    seed: int = 0,
    steps: int | None = None,
    evaluation: Sequence[str] = (),
    quiet: bool = True,
) -> Report | None:
    """Train what is not trained yet, and report all.

    A cell, one preset on one game with all seeds of one root seed, is a run folder ``out/PRESET/GAME/seed-SEED`` of its own: who is interrupted goes on where
    it ended, in the middle of a cell too, and more games, presets and root seeds join what is there: those of one preset on one
    game are one row. Where all seeds of a cell diverge the others go on, and the report says so.

    Args:
        name: of a benchmark, see `jaxrl_evolve.training.suites.SUITES`.
        out: folder of results.
        presets: algorithms by name, each with changes of its settings or none: ``"spr learner.shift=0 hp.gamma=0.97"``; the benchmark's own by default.
        games: some of the benchmark's; all by default.
        seeds: how many of each root seed.
        seed: root seed. Presets share it, so that they can be compared in pairs.
        steps: environment steps per seed instead of the benchmark's; results of other numbers of steps need another folder.
        evaluation: changes of the benchmark's evaluation, for all cells: ``"final_episodes=5"``; likewise.
        quiet: show no progress.

    Returns:
        The report; of several processes only the first one makes it, the others get None.

    Raises:
        ValueError: a name is not known, a setting is not allowed, or a folder holds a run of other settings or steps.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
        Diverged: of none of the cells a run is left.
    """
    suite, out = find_suite(name), Path(out)
    plan = cells(suite, out, presets, games, seeds, seed, steps, evaluation)
    experiments = [build(cell.config) for cell in plan]  # all are checked before the first is trained
    check_protocol(out, plan, experiments)
    for cell, experiment in zip(plan, experiments, strict=True):
        check_memory(cell.config, experiment, groups_of(cell.config, None))
    lost: dict[Path, str] = {}
    for i, cell in enumerate(plan):
        where, last = f"{cell.label} on {cell.game}, {i + 1} of {len(plan)}", i + 1 == len(plan)
        with part_of_more(f"in {where}", "" if last else f"after {where}"):
            try:  # from the start where nothing is there yet
                train(cell.config, cell.folder, resume=True, quiet=quiet)
            except Diverged as error:
                lost[cell.folder] = left_out(cell, error)
    made = None
    if jax.process_index() == 0 and (done := finished(out)):  # the first one writes
        beside = lambda ours: published_section(ours, suite.games, suite.published, suite.steps)
        made = report(
            [cell for cell, _ in done],
            out / REPORT,
            labels=[label for _, label in done],
            more=beside if suite.published else None,
            pool=True,
            notes=[*lost.values(), *unfinished(out, lost)],
        )
    check_left(plan, lost)
    return made


def cells(
    suite: Suite,
    out: Path,
    presets: Sequence[str],
    games: Sequence[str],
    seeds: int,
    seed: int,
    steps: int | None,
    evaluation: Sequence[str] = (),
) -> list[Cell]:
    """What is to be trained, game by game.

    Raises:
        ValueError: a name is not known, a preset is named twice, or a setting is not allowed.
    """
    chosen, found = suite.chosen(tuple(games)), {}
    for text in presets or (suite.preset,):
        label = " ".join(text.split())
        if label in found:
            raise ValueError(f"presets has {label!r} twice")
        found[label] = folder_name(label)
    shared: dict[str, Any] = {"steps": suite.steps if steps is None else steps, "seeds": seeds, "seed": seed}
    plan = []
    for game, env in chosen.items():
        for label, folder in found.items():
            algorithm, *changes = label.split()
            config = TrainConfig.preset(algorithm, env, evaluation=suite.evaluation, **shared)
            config = changed_by(config, changes, "presets", CHANGED)
            config = changed_by(
                config, [f"evaluation.{text}" for text in evaluation], "evaluation", ("evaluation",)
            )
            plan.append(Cell(label, game, config, out / folder / game / f"seed-{seed}"))
    return plan


def check_protocol(out: Path, plan: Sequence[Cell], experiments: Sequence[Experiment]) -> None:
    """Refuse a folder of cells of another length or evaluation, with which these could not be compared.

    Args:
        out: folder of results.
        plan: what is to be trained.
        experiments: what each of them means, which settles its evaluation's limit.

    Raises:
        ValueError: naming one of them.
    """
    settled = {
        cell.game: plain(limited(cell.config, experiment))
        for cell, experiment in zip(plan, experiments, strict=True)
    }
    others = plain(plan[0].config)
    for path in sorted(out.glob("*/*/seed-*/config.json")):
        there, game = read_json(path), path.parents[1].name
        here = settled.get(game, others)
        if game not in settled and others["evaluation"]["max_steps"] is None:  # each game has its own limit
            own = {"max_steps": there["evaluation"]["max_steps"]}
            here = others | {"evaluation": others["evaluation"] | own}
        for name in ("steps", "evaluation"):
            if there[name] != here[name]:
                raise ValueError(
                    f"{name} is {here[name]}, but {path.parent} has {there[name]}; give another --out"
                )


def changed_by(config: C, changes: Sequence[str], who: str, allowed: Sequence[str]) -> C:
    """A configuration with settings as a person writes them.

    Args:
        config: the configuration, a dataclass.
        changes: ``"FIELD=VALUE"``; nested fields by dots.
        who: what the changes are given as, for messages.
        allowed: the fields that may be changed, or parts of them.

    Raises:
        ValueError: a text does not read so, or a field or value is not allowed.
    """
    values: dict[str, Any] = {}
    for text in changes:
        name, separator, value = text.partition("=")
        if not separator:
            raise ValueError(f"{who} has {text!r}; it must read FIELD=VALUE")
        name = field_name(config, name)
        if name.partition(".")[0] not in allowed:
            raise ValueError(
                f"{who} varies {name}, which the benchmark settles for all; {who} may vary {', '.join(allowed)}"
            )
        values[name] = parse_field(config, name, value)
    return update(config, values)


def folder_name(label: str) -> str:
    """Of a preset with its changes.

    Raises:
        ValueError: it has signs that not every file system takes.
    """
    if not re.fullmatch(r"[\w.=,() -]+", label):
        raise ValueError(
            f"presets has {label!r}; only letters, digits and the signs .=,()-_ can stand in a folder's name"
        )
    return label.replace(" ", "+")


def left_out(cell: Cell, error: Diverged) -> str:
    """What a report says of a cell of which no run is left."""
    return f"{cell.label} on {cell.game} with root seed {cell.config.seed} is left out: {error}."


def check_left(plan: Sequence[Cell], lost: Collection[Path]) -> None:
    """What is to be raised where no cell is left.

    Args:
        plan: what was to be trained.
        lost: folders of cells whose seeds all diverged.

    Raises:
        Diverged: these are all.
    """
    if len(lost) == len(plan):
        raise Diverged(
            f"no run of any of the {len(plan)} cells in {plan[0].folder.parents[2]} kept a finite loss"
        )


def unfinished(out: Path, known: Collection[Path]) -> list[str]:
    """Sentences on cells that were begun, of this call's plan or another's, and have no result, but for those in ``known``."""
    begun = sorted(path.parent for path in out.glob("*/*/seed-*/config.json"))
    return [
        f"{cell} is left out: it has no result.json."
        for cell in begun
        if cell not in known and not (cell / "result.json").is_file()
    ]


def finished(out: Path) -> list[tuple[Path, str]]:
    """Folders of finished cells with their labels, in the order of their names."""
    results = sorted(out.glob("*/*/seed-*/result.json"))
    return [(path.parent, path.parents[2].name.replace("+", " ")) for path in results]
