"""Sweeps: one training run over a grid and random draws of settings.

Points that differ in hyperparameters alone are runs of one program, side by side; every combination of
other fields is a program, and a run folder, of its own. All points have the same seeds, so they differ
in nothing else.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve import figures, statistics
from jaxrl_evolve.config import TrainConfig, from_json
from jaxrl_evolve.experiment import build, recorded
from jaxrl_evolve.fields import Settings, parse_field, replace_fields
from jaxrl_evolve.training import folder as folders
from jaxrl_evolve.training.loop import Diverged, Interrupted, train

_SWEPT = ("hp", "learner", "env_options", "steps", "num_envs", "rollout_length", "resets", "objective")
_DRAWS = 0x5357  # sets the randomness of the draws apart from everything else that grows from the seed
_DRAWN_POINTS = 30  # in the figure; the table has all


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
    """

    config: TrainConfig[Any, Any]
    shapes: tuple[Shape, ...]


def sweep(
    config: TrainConfig[Any, Any],
    out: str | os.PathLike[str],
    *,
    grid: Sequence[str] = (),
    random: Sequence[str] = (),
    samples: int = 8,
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
        samples: draws from the ranges, the same for every point of the grid.
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
    folder = folders.create(out, overwrite=overwrite, resume=resume, sweep=True)
    with folders.Lock(folder):
        asked = folders.plain(made) | {"config": recorded(config)}
        if not folder.sweep.exists():
            folders.write_json(folder.sweep, asked)
        elif folders.read_json(folder.sweep) != asked:
            raise ValueError(
                f"the sweep in {folder.path} was started with other settings: resume it unchanged, or sweep into "
                "another folder"
            )
        return _run(made, folder, quiet)


def resume_sweep(out: str | os.PathLike[str], quiet: bool = True) -> str:
    """Continue the sweep in a folder; of one that is finished, its table.

    Raises:
        ValueError: there is no sweep in the folder, or its plan is damaged.
        Interrupted, Diverged: as in `sweep`.
    """
    folder = folders.existing(out, sweep=True)
    data = folders.read_json(folder.sweep)
    try:
        shapes = tuple(Shape(s["settings"], tuple(s["points"])) for s in data["shapes"])
        config = data["config"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder.sweep} is damaged: it is no plan of a sweep ({error})") from None
    made = Plan(from_json(config), tuple(Shape(_tuples(s.settings), s.points) for s in shapes))
    with folders.Lock(folder):
        return _run(made, folder, quiet)


def plan(
    config: TrainConfig[Any, Any], grid: Sequence[str], random: Sequence[str] = (), samples: int = 8
) -> Plan:
    """Parse a sweep, draw from its ranges, and check every point; compiles nothing.

    Raises:
        ValueError: naming the field, the value, and what is allowed.
    """
    if not grid and not random:
        raise ValueError(
            "a sweep needs something to vary: --grid FIELD=V1,V2 or --random FIELD=[log:]LOW:HIGH"
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ValueError(f"samples is {samples!r}; it must be a whole number, at least 1")
    axes: dict[str, list[Any]] = {}
    ranges: dict[str, tuple[bool, float, float]] = {}
    for text in grid:
        name, values = _axis(config, text)
        if name in axes:
            raise ValueError(f"grid names {name} twice")
        axes[name] = values
    for text in random:
        name, bounds = _range(config, text)
        if name in ranges or name in axes:
            raise ValueError(f"the sweep varies {name} twice")
        ranges[name] = bounds
    draws = _draw(ranges, samples, config.seed)
    static = {name: values for name, values in axes.items() if not name.startswith("hp.")}
    traced = {name: values for name, values in axes.items() if name.startswith("hp.")}
    points = tuple(point | draw for point in _product(traced) for draw in draws)
    made = Plan(config, tuple(Shape(settings, points) for settings in _product(static)))
    for shape in made.shapes:
        shaped = replace_fields(config, shape.settings)
        for point in shape.points:
            replace_fields(shaped, point)
        build(shaped)
    return made


def _axis(config: Any, text: str) -> tuple[str, list[Any]]:
    """A field and its values, from ``field=v1,v2``."""
    name, separator, listed = text.partition("=")
    if not separator or not name or not listed:
        raise ValueError(f"grid is {text!r}; it must read FIELD=V1,V2")
    _check_swept(name, "grid")
    values = [parse_field(config, name, value) for value in _split(listed)]
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"grid gives {name} the value {value!r} twice")
    return name, values


def _range(config: Any, text: str) -> tuple[str, tuple[bool, float, float]]:
    """A hyperparameter and its range, from ``field=[log:]low:high``."""
    name, separator, bounds = text.partition("=")
    logarithmic = bounds.startswith("log:")
    numbers = bounds.removeprefix("log:").split(":")
    if not separator or len(numbers) != 2:
        raise ValueError(f"random is {text!r}; it must read FIELD=LOW:HIGH or FIELD=log:LOW:HIGH")
    _check_swept(name, "random")
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


def _check_swept(name: str, where: str) -> None:
    if name.partition(".")[0] in ("algorithm", "env", "seeds", "seed", "group"):
        raise ValueError(f"{where} varies {name}, which all points of a sweep share: set it with --{name}")
    if name.partition(".")[0] in ("rows", "checkpoints", "keep", "evaluation", "sinks"):
        raise ValueError(
            f"{where} varies {name}, which does not change what is learned; a sweep varies {', '.join(_SWEPT)}"
        )


def _split(text: str) -> list[str]:
    """Text at the commas that stand outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _draw(ranges: Mapping[str, tuple[bool, float, float]], samples: int, seed: int) -> list[Settings]:
    if not ranges:
        return [{}]
    rng = np.random.default_rng([_DRAWS, seed])
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


def _product(axes: Mapping[str, list[Any]]) -> list[Settings]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _tuples(settings: Mapping[str, Any]) -> Settings:
    """JSON has lists where settings have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _run(made: Plan, folder: folders.RunFolder, quiet: bool) -> str:
    points: list[dict[str, Any]] = []
    seconds = {"compile_seconds": 0.0, "run_seconds": 0.0, "eval_seconds": 0.0}
    for i, shape in enumerate(made.shapes):
        config = replace_fields(made.config, shape.settings)
        hps = [replace_fields(config, point).hp for point in shape.points]
        path = folder.path / f"shape_{i:03d}"
        started = (path / "config.json").exists()
        try:
            summary: Mapping[str, Any] = train(config, path, resume=started, quiet=quiet, points=hps).summary
        except Interrupted as error:
            where = f"{error.signal} in {path.name}, {i + 1} of {len(made.shapes)}"
            raise Interrupted(
                error.signal, f"{where}; continue with: jaxrl-evolve resume {folder.path}"
            ) from None
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
    ranked = sorted(points, key=_rank)
    best = ranked[0]
    table = _markdown(made, ranked)
    folders.write_text(folder.path / "sweep.csv", _csv(points))
    folders.write_text(folder.path / "sweep.md", table)
    _figure(ranked, folder.path / "sweep.png")
    result = {
        "algorithm": made.config.algorithm,
        "env": made.config.env,
        "env_options": made.config.env_options,
        "seeds": made.config.seeds,
        "seed": made.config.seed,
        "best": best,
        "points": points,
        **seconds,
        **folders.provenance(),
    }
    folders.write_json(folder.result, result)
    if best["iqm"] is None:
        raise Diverged(f"no run of any of the {len(points)} points in {folder.path} kept a finite loss")
    return table


def _rank(point: Mapping[str, Any]) -> tuple[int, float]:
    """Best first: points that lost no seed before those that did, then by interquartile mean."""
    return point["diverged"], math.inf if point["iqm"] is None else -point["iqm"]


def _csv(points: Sequence[Mapping[str, Any]]) -> str:
    names, seeds = list(points[0]["settings"]), len(points[0]["eval_return"])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    head = ["iqm", "ci95_low", "ci95_high", "diverged", "env_steps", "folder"]
    writer.writerow([*names, *head, *(f"seed_{i}" for i in range(seeds))])
    for point in points:
        numbers = [point["iqm"], *point["ci95"], point["diverged"], point["env_steps"], point["folder"]]
        writer.writerow([*point["settings"].values(), *numbers, *point["eval_return"]])
    return text.getvalue()


def _markdown(made: Plan, ranked: Sequence[Mapping[str, Any]]) -> str:
    config, names = made.config, list(ranked[0]["settings"])
    lines = [
        f"{config.algorithm} on {config.env}: {len(ranked)} points, {config.seeds} seeds each, best first. IQM of "
        "the final evaluation with its 95 % interval; points that lost a seed come last.",
        "",
        "| " + " | ".join([*names, "IQM", "95 % interval", "diverged"]) + " |",
        "|" + " --- |" * len(names) + " ---: |" * 3,
    ]
    for point in ranked:
        low, high = point["ci95"]
        interval = "" if low is None else f"{low:.4g} to {high:.4g}"
        iqm = "" if point["iqm"] is None else f"{point['iqm']:.4g}"
        lost = f"{point['diverged']} of {config.seeds}" if point["diverged"] else ""
        cells = [*map(_short, point["settings"].values()), iqm, interval, lost]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _figure(ranked: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The best points with their intervals; none if every point was lost."""
    shown = {}
    for point in ranked[:_DRAWN_POINTS]:
        if point["iqm"] is not None:
            label = ", ".join(
                f"{name.rpartition('.')[2]}={_short(x)}" for name, x in point["settings"].items()
            )
            low, high = (math.nan if x is None else x for x in point["ci95"])
            shown[label] = statistics.Estimate(point["iqm"], low, high)
    if shown:
        figures.comparison({"": shown}, path)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
