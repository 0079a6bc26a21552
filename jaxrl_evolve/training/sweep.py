"""Sweeps: one training run over a grid and random draws of settings.

Points that differ in hyperparameters alone are runs of one program, side by side; every combination of
other fields is a program, and a run folder, of its own. All points have the same seeds, so they differ
in nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.random import KeyTag
from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.ranking import Measure, write_ranking
from jaxrl_evolve.settings.checks import whole
from jaxrl_evolve.settings.fields import Settings, field_name, parse_field
from jaxrl_evolve.settings.grids import parse_grid, product, settings_from_json
from jaxrl_evolve.settings.names import spelled
from jaxrl_evolve.settings.nested import update
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.claim import claim_sweep
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build, learner_of
from jaxrl_evolve.training.groups import groups_of
from jaxrl_evolve.training.interrupts import Diverged, Interrupted, interruption, resumable
from jaxrl_evolve.training.memory import check_memory
from jaxrl_evolve.training.start import begin
from jaxrl_evolve.training.sweep_parts import of_part, part_folder
from jaxrl_evolve.training.train import train

_SWEPT = (
    "hp",
    "learner",
    "env_options",
    "steps",
    "num_envs",
    "rollout_length",
    "resets",
    "objective",
    "start",
)
_DRAWS = 8
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
        overwrite: delete the sweep in ``out`` first.
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
    if not grid and not random:
        raise ValueError(
            "a sweep needs something to vary: --grid FIELD=V1,V2 or --random FIELD=[log:]LOW:HIGH"
        )
    if samples is not None and not random:
        raise ValueError(
            f"samples is {samples}, but nothing is drawn: it is for --random FIELD=[log:]LOW:HIGH"
        )
    samples = whole("samples", _DRAWS if samples is None else samples, 1)
    axes = parse_grid(config, grid, lambda name: _check_swept(config, name, "grid"))
    ranges: dict[str, tuple[bool, float, float]] = {}
    for text in random:
        name, bounds = _range(config, text)
        if name in ranges or name in axes:
            raise ValueError(f"the sweep varies {name} twice")
        ranges[name] = bounds
    draws = _draw(ranges, samples, config.seed)
    static = {name: values for name, values in axes.items() if not name.startswith("hp.")}
    traced = {name: values for name, values in axes.items() if name.startswith("hp.")}
    points = tuple(point | draw for point in product(traced) for draw in draws)
    made = Plan(config, tuple(Shape(settings, points) for settings in product(static)))
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


def _range(config: Any, text: str) -> tuple[str, tuple[bool, float, float]]:
    """A hyperparameter and its range, from ``field=[log:]low:high``."""
    name, separator, bounds = text.partition("=")
    logarithmic = bounds.startswith("log:")
    numbers = bounds.removeprefix("log:").split(":")
    if not separator or len(numbers) != 2:
        raise ValueError(f"random is {text!r}; it must read FIELD=LOW:HIGH or FIELD=log:LOW:HIGH")
    _check_swept(config, spelled(name), "random")
    name = field_name(config, name)
    if not name.startswith("hp."):
        raise ValueError(
            f"random varies {name}; only hyperparameters (hp.…) can be drawn, use a grid for others"
        )
    low, high = (parse_field(config, name, number) for number in numbers)
    if not low < high or not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(
            f"random draws {name} between {low} and {high}; the first must be less than the second"
        )
    if logarithmic and low <= 0:
        raise ValueError(f"random draws {name} from {low} on a logarithmic scale; both ends must be above 0")
    return name, (logarithmic, low, high)


def _check_swept(config: TrainConfig[Any, Any], name: str, where: str) -> None:
    if name in find_algorithm(config.algorithm).unread:
        raise ValueError(f"{where} varies {name}, which {config.algorithm} does not read")
    if name.partition(".")[0] in ("algorithm", "env", "seeds", "seed", "group"):
        raise ValueError(f"{where} varies {name}, which all points of a sweep share: set it with --{name}")
    if name.partition(".")[0] in ("rows", "checkpoints", "keep", "evaluation", "sinks"):
        raise ValueError(
            f"{where} varies {name}, which does not change what is learned; a sweep varies {', '.join(_SWEPT)}"
        )


def _draw(ranges: Mapping[str, tuple[bool, float, float]], samples: int, seed: int) -> list[Settings]:
    if not ranges:
        return [{}]
    rng = np.random.default_rng([KeyTag.SWEEP_DRAWS, seed])
    draws: list[Settings] = []
    for _ in range(samples):
        draw: Settings = {}
        for name, (logarithmic, low, high) in ranges.items():
            ends = (math.log(low), math.log(high)) if logarithmic else (low, high)
            drawn = rng.uniform(*ends)
            # Six digits say which value it was, and are the value.
            draw[name] = float(f"{math.exp(drawn) if logarithmic else drawn:.6g}")
        draws.append(draw)
    return draws


def _run(made: Plan, folder: folders.RunFolder, quiet: bool) -> str:
    points: list[dict[str, Any]] = []
    seconds = {"compile_seconds": 0.0, "run_seconds": 0.0, "eval_seconds": 0.0}
    for i, shape in enumerate(made.shapes):
        config = _of_shape(made.config, shape)
        hps = [update(config, point).hp for point in shape.points]
        path = folder.path / f"shape_{i:03d}"
        started = (path / "config.json").exists()
        try:
            with resumable(folder.path):
                result = train(config, path, resume=started, quiet=quiet, points=hps)
            summary: Mapping[str, Any] = result.summary
        except Interrupted as error:
            where = f"in {path.name}, {i + 1} of {len(made.shapes)}"
            raise interruption(error.signal, where, folder.path) from None
        except Diverged:
            lost = {"eval_return": [None] * config.seeds, "iqm": None, "ci95": [None, None]}
            summary = {"points": [lost] * len(hps), "env_steps": config.env_steps}
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
