"""Sweeps: one training run over a grid and random draws of settings.

Points that differ in hyperparameters alone are runs of one program, side by side; every combination of
other fields is a program, and a run folder, of its own. All points have the same seeds, so they differ
in nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.ranking import Measure, write_ranking
from jaxrl_evolve.settings.fields import Settings
from jaxrl_evolve.settings.grids import settings_from_json
from jaxrl_evolve.settings.nested import update
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.claim import claim_sweep
from jaxrl_evolve.storage.destinations import check_trackers
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build, learner_of
from jaxrl_evolve.training.groups import groups_of
from jaxrl_evolve.training.interrupts import Diverged, part_of_more
from jaxrl_evolve.training.memory import check_memory
from jaxrl_evolve.training.start import begin
from jaxrl_evolve.training.sweep_parts import of_part, part_folder
from jaxrl_evolve.training.sweep_space import space_of
from jaxrl_evolve.training.train import train

_MEASURE = Measure("eval_return", "diverged", "Final return (IQM, 95 % interval)")


@dataclasses.dataclass(frozen=True)
class Shape:
    """The points of a sweep that are one program.

    Attributes:
        settings: static fields by dotted name.
        points: hyperparameters by dotted name, one mapping for each point.
    """

    settings: Settings
    points: tuple[Settings, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A whole sweep, decided: nothing is drawn or guessed when it is taken up again.

    Attributes:
        config: what all points share.
        shapes: the programs to run, in order.
        part: which part of it this is, as ``"2/4"``; empty for the whole.
    """

    config: TrainConfig[Any, Any]
    shapes: tuple[Shape, ...]
    part: str = ""


def sweep(
    config: TrainConfig[Any, Any],
    out: str | os.PathLike[str],
    *,
    grid: Sequence[str] = (),
    random: Sequence[str] = (),
    samples: int | None = None,
    part: str = "",
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> str:
    """Train every point of a grid, and every draw from ranges, with every seed.

    Args:
        config: what all points share.
        out: folder to write: ``sweep.json`` (the plan), a run folder ``shape_000/``… for each program, and at
            the end ``sweep.csv``, ``sweep.md``, ``sweep.png`` and ``result.json``.
        grid: ``"field=v1,v2"``; nested fields by dots, every combination.
        random: ``"hp.field=low:high"`` or ``"hp.field=log:low:high"``, drawn uniformly (of the logarithm).
        samples: draws from the ranges, the same for every point of the grid; 8 where nothing is said.
        part: ``"2/4"`` trains the second of four parts of the points, in a folder ``part_2_of_4`` that is made in ``out``
            (the same for all) and is a sweep of its own. `report` of ``out`` has the points of all parts.
        resume: continue the sweep in ``out``.
        overwrite: replace the sweep in ``out``, which comes back if this one fails before its first row.
        quiet: show no progress.

    Returns:
        The table of points as Markdown, best first.

    Raises:
        ValueError: a field or value is not allowed, points don't fit the algorithm, or the folder can't be
            used. All points are checked before the first one trains.
        Interrupted: a signal came; `resume_sweep` goes on where it stopped.
        Diverged: no run of any point is left.
    """
    made = plan(config, grid, random, samples)
    if part:
        made, out = of_part(made, part), part_folder(part, out)
        _check_plan(made)  # of a shape a part may have fewer points
    if not resume:
        check_trackers(config.sinks)
    with contextlib.ExitStack() as stack:
        asked = folders.plain(made)
        if not part:  # as plans were written before there were parts
            del asked["part"]
        folder = claim_sweep(out, SWEEP, asked, stack, resume=resume, overwrite=overwrite)
        return _run(made, folder, quiet)


def resume_sweep(out: str | os.PathLike[str], quiet: bool = True) -> str:
    """Continue the sweep in a folder; of one that is finished, its table.

    Raises:
        ValueError: there is no sweep in the folder, or its plan is damaged.
        Interrupted, Diverged: as in `sweep`.
    """
    made = folders.configuration(out, SWEEP)
    with contextlib.ExitStack() as stack:
        return _run(made, claim_sweep(out, SWEEP, None, stack, resume=True), quiet)


def _read(data: Mapping[str, Any]) -> Plan:
    """The plan that ``sweep.json`` holds."""
    shapes = (Shape(settings_from_json(s["settings"]), tuple(s["points"])) for s in data["shapes"])
    return Plan(TrainConfig.from_json(data["config"]), tuple(shapes), data.get("part", ""))


SWEEP = Kind(
    name="sweep",
    mark=kinds.SWEEP,
    read=_read,
    resume=lambda out, step, quiet: resume_sweep(out, quiet),
    files=("sweep.csv", "sweep.md"),
    folders=r"shape_\d{3,}",
    shared=True,
)
"""A sweep of training runs."""


def plan(
    config: TrainConfig[Any, Any],
    grid: Sequence[str],
    random: Sequence[str] = (),
    samples: int | None = None,
) -> Plan:
    """Parse a sweep, draw from its ranges, and check every point; compiles nothing.

    Raises:
        ValueError: naming the field, the value, and what is allowed.
    """
    static, points = space_of(config, grid, random, samples)
    made = Plan(config, tuple(Shape(settings, points) for settings in static))
    _check_plan(made)
    return made


def _of_shape(config: TrainConfig[Any, Any], shape: Shape) -> TrainConfig[Any, Any]:
    """What its points share; checksums are of the files that it names."""
    return update(config, shape.settings).unpinned(config)


def _check_plan(made: Plan) -> None:
    """Build all shapes with their points, and compile nothing.

    Raises:
        ValueError: one does not fit.
    """
    for shape in made.shapes:
        shaped = _of_shape(made.config, shape)
        hps = [update(shaped, point).hp for point in shape.points]
        experiment = build(shaped)
        for hp in hps:  # what the learner says of its numbers
            learner_of(dataclasses.replace(shaped, hp=hp), experiment.env)
        begin(shaped, experiment)
        check_memory(shaped, experiment, groups_of(shaped, hps))


def _trained(config: TrainConfig[Any, Any], path: Path, hps: Sequence[Any], quiet: bool) -> Mapping[str, Any]:
    """What came of the points of one program; of those that all diverged, nothing."""
    try:
        started = (path / "config.json").exists()
        return train(config, path, resume=started, quiet=quiet, points=hps).summary
    except Diverged:
        lost = {"eval_return": [None] * config.seeds, "iqm": None, "ci95": [None, None]}
        return {"points": [lost] * len(hps), "env_steps": config.env_steps}


def _run(made: Plan, folder: folders.RunFolder, quiet: bool) -> str:
    points: list[dict[str, Any]] = []
    seconds = {"compile_seconds": 0.0, "run_seconds": 0.0, "eval_seconds": 0.0}
    for i, shape in enumerate(made.shapes):
        config = _of_shape(made.config, shape)
        hps = [update(config, point).hp for point in shape.points]
        path = folder.path / f"shape_{i:03d}"
        where, last = f"{path.name}, {i + 1} of {len(made.shapes)}", i + 1 == len(made.shapes)
        with part_of_more(f"in {where}", "" if last else f"after {where}", folder.path):
            summary = _trained(config, path, hps, quiet)
        for j, (settings, result) in enumerate(zip(shape.points, summary["points"], strict=True)):
            points.append(
                {
                    "settings": shape.settings | settings,
                    **{name: result[name] for name in ("eval_return", "iqm", "ci95")},
                    "diverged": sum(x is None for x in result["eval_return"]),
                    "env_steps": summary["env_steps"],
                    "folder": path.name,
                    "runs": [j * config.seeds, (j + 1) * config.seeds],
                }
            )
        for name in seconds:
            seconds[name] += summary.get(name, 0.0)
    if jax.process_index() != 0:
        return ""
    few = statistics.caution(made.config.seeds)
    title = (
        f"{made.config.algorithm} on {made.config.env}: {len(points)} points, {made.config.seeds} seeds each, best "
        f"first. IQM of the final evaluation with its 95 % interval{few and f' ({few})'}; "
        "points that lost a seed come last."
    )
    table, best = write_ranking(folder, points, _MEASURE, title)
    result = {
        "algorithm": made.config.algorithm,
        "env": made.config.env,
        "env_options": made.config.env_options,
        "seeds": made.config.seeds,
        "seed": made.config.seed,
        "best": best,
        "points": points,
        **seconds,
        **provenance(),
    }
    folders.write_json(folder.result, result)
    if best["iqm"] is None:
        raise Diverged(f"no run of any of the {len(points)} points in {folder.path} kept a finite loss")
    return table
