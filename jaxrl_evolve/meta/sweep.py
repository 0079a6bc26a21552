"""Sweeps of meta-trainings: every point of a grid with several meta-seeds, one run after another.

A meta-training already uses all devices, so nothing would be gained by two at a time. Every run is that of
`meta_train`, in a folder of its own, and can be used by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.train import check, meta_train
from jaxrl_evolve.results import statistics
from jaxrl_evolve.results.fitness import fitness_label, mean_fitness, reachable
from jaxrl_evolve.results.ranking import Measure, write_ranking
from jaxrl_evolve.settings.checks import whole
from jaxrl_evolve.settings.fields import Settings
from jaxrl_evolve.settings.grids import parse_grid, product, settings_from_json
from jaxrl_evolve.settings.nested import update
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.checkpoint import CheckpointError
from jaxrl_evolve.storage.claim import claim_sweep
from jaxrl_evolve.storage.destinations import check_trackers
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.interrupts import Diverged, part_of_more
from jaxrl_evolve.training.outcome import estimate_iqm

_SHARED = ("objective", "env", "seed", "seeds")
_NOT_LEARNED = ("tests", "test_every", "lanes", "keep", "sinks")


@dataclasses.dataclass(frozen=True)
class MetaPlan:
    """A whole sweep, decided.

    Attributes:
        config: what all runs share; its seed is the first meta-seed.
        seeds: meta-seeds, which count up from that.
        points: settings by dotted name, one mapping for each point.
    """

    config: MetaTrainConfig[Any, Any, Any]
    seeds: int
    points: tuple[Settings, ...]


class _Run(NamedTuple):
    point: int
    folder: str
    config: MetaTrainConfig[Any, Any, Any]


class _Outcome(NamedTuple):
    """What a run came to: its ``result.json``, or why there is none."""

    summary: Mapping[str, Any]
    failure: str


def meta_sweep(
    config: MetaTrainConfig[Any, Any, Any],
    out: str | os.PathLike[str],
    *,
    seeds: int = 5,
    grid: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> str:
    """Meta-train every point of a grid with every meta-seed.

    Args:
        config: what all points share.
        out: folder to write: ``sweep.json`` (the plan), a run folder ``point_000/seed_0``… for each point and
            meta-seed (``seed_0``… where there is one point), and at the end ``sweep.csv``, ``sweep.md``,
            ``sweep.png`` and ``result.json``.
        seeds: meta-seeds, counting up from that of ``config``.
        grid: ``"field=v1,v2"``; nested fields by dots, every combination. None is one point.
        resume: continue the sweep in ``out``.
        overwrite: replace the sweep in ``out``, which comes back if this one fails before its first row.
        quiet: show no progress.

    Returns:
        The table of points as Markdown, best first. A run that failed is reported there, and tried again when
        the sweep is resumed; the others go on without it.

    Raises:
        ValueError: a field or value is not allowed, settings don't fit, or the folder can't be used. All
            points are checked before the first one trains.
        Interrupted: a signal came; `resume_meta_sweep` goes on where it stopped.
        Diverged: no run came to a finite held-out fitness.
    """
    made = plan(config, seeds, grid)
    if not resume:
        check_trackers(config.sinks)
    with contextlib.ExitStack() as stack:
        folder = claim_sweep(out, META_SWEEP, folders.plain(made), stack, resume=resume, overwrite=overwrite)
        return _run(made, folder, quiet)


def resume_meta_sweep(out: str | os.PathLike[str], quiet: bool = True) -> str:
    """Continue the sweep in a folder; of one that is finished, its table.

    Raises:
        ValueError: there is no sweep in the folder, or its plan is damaged.
        Interrupted, Diverged: as in `meta_sweep`.
    """
    made = folders.configuration(out, META_SWEEP)
    with contextlib.ExitStack() as stack:
        return _run(made, claim_sweep(out, META_SWEEP, None, stack, resume=True), quiet)


def _read(data: Mapping[str, Any]) -> MetaPlan:
    """The plan that ``sweep.json`` holds."""
    points = tuple(settings_from_json(point) for point in data["points"])
    return MetaPlan(MetaTrainConfig.from_json(data["config"]), int(data["seeds"]), points)


META_SWEEP = Kind(
    name="meta-sweep",
    mark=kinds.SWEEP,
    read=_read,
    resume=lambda out, step, quiet: resume_meta_sweep(out, quiet),
    files=("sweep.csv", "sweep.md"),
    folders=r"point_\d{3,}|seed_\d+",
    shared=True,
)
"""A sweep of meta-trainings."""


def plan(config: MetaTrainConfig[Any, Any, Any], seeds: int, grid: Sequence[str] = ()) -> MetaPlan:
    """Parse a sweep and check every point; compiles nothing.

    Raises:
        ValueError: naming the field, the value, and what is allowed.
    """
    seeds = whole("seeds", seeds, 1)
    ignored = () if any(text.startswith("estimator=") for text in grid) else config.method.ignores
    made = MetaPlan(
        config, seeds, tuple(product(parse_grid(config, grid, lambda name: _check_swept(name, ignored))))
    )
    for point in made.points:
        check(update(config, point))
    return made


def _check_swept(name: str, ignored: Sequence[str]) -> None:
    field = name.partition(".")[0]
    if field in ignored or name in ignored:
        raise ValueError(f"grid varies {name}, which this estimator does not read")
    if field in _SHARED:
        raise ValueError(f"grid varies {name}, which all points of a sweep share: set it beside the grid")
    if field in _NOT_LEARNED:
        names = (f.name for f in dataclasses.fields(MetaTrainConfig))
        allowed = ", ".join(name for name in names if name not in _SHARED + _NOT_LEARNED)
        raise ValueError(
            f"grid varies {name}, which does not change what is learned; a sweep varies {allowed}"
        )


def _runs(made: MetaPlan) -> Iterator[_Run]:
    for i, settings in enumerate(made.points):
        config = update(made.config, settings)
        for seed in range(config.seed, config.seed + made.seeds):
            name = f"seed_{seed}" if len(made.points) == 1 else f"point_{i:03d}/seed_{seed}"
            yield _Run(i, name, dataclasses.replace(config, seed=seed))


def _run(made: MetaPlan, folder: folders.RunFolder, quiet: bool) -> str:
    runs = list(_runs(made))
    outcomes = []
    for i, run in enumerate(runs):
        where, last = f"{run.folder}, {i + 1} of {len(runs)}", i + 1 == len(runs)
        with part_of_more(f"in {where}", "" if last else f"after {where}", folder.path):
            outcomes.append(_outcome(run.config, folder.path / run.folder, quiet))
        if outcomes[-1].failure and not quiet:
            print(f"jaxrl-evolve: {run.folder}: {outcomes[-1].failure}; the sweep goes on", file=sys.stderr)
    if jax.process_index() != 0:
        return ""
    # Of those that came to a test; where some can't be taken a fraction of, none is.
    known = [found.any() for outcome in outcomes if (found := reachable(outcome.summary)).size]
    optimum = bool(known) and all(known)
    scores = [mean_fitness(outcome.summary, optimum) for outcome in outcomes]
    points = [_point(made, i, runs, outcomes, scores) for i in range(len(made.points))]
    label = fitness_label(optimum)
    few = statistics.caution(made.seeds, "meta-seed")
    title = (
        f"{made.config.objective} on {made.config.env}: {len(points)} points, {made.seeds} meta-seeds each, best "
        f"first. IQM of {label} with its 95 % interval{few and f' ({few})'}; points that lost a run come last."
    )
    measure = Measure("test_fitness", "failed", f"{label.capitalize()} (IQM, 95 % interval)")
    table, best = write_ranking(folder, points, measure, title)
    result = {
        "objective": made.config.objective,
        "env": made.config.env,
        "env_options": made.config.env_options,
        "estimator": made.config.estimator,
        "seeds": made.seeds,
        "seed": made.config.seed,
        "measure": label,
        "best": best,
        "points": points,
        **{
            name: sum(outcome.summary.get(name) or 0.0 for outcome in outcomes)
            for name in ("compile_seconds", "run_seconds")
        },
        **provenance(),
    }
    folders.write_json(folder.result, result)
    if best["iqm"] is None:
        raise Diverged(f"no run of any of the {len(points)} points in {folder.path} has a finite fitness")
    return table


def _outcome(config: MetaTrainConfig[Any, Any, Any], path: Path, quiet: bool) -> _Outcome:
    """Make or take up a run; one that has a result is not touched."""
    finished = folders.RunFolder(path).result
    if finished.exists():
        summary: Mapping[str, Any] = folders.read_json(finished)
    else:
        try:
            summary = meta_train(config, path, resume=True, quiet=quiet).summary
        except Diverged as error:
            return _Outcome({}, str(error))
        except (CheckpointError, OSError, jax.errors.JaxRuntimeError) as error:
            if jax.process_count() > 1:  # the others may not have failed, and would wait
                raise
            return _Outcome({}, str(error).partition("\n")[0])
    lost = not np.isfinite(mean_fitness(summary, optimum=False))
    return _Outcome(summary, "every agent of its last held-out test diverged" if lost else "")


def _point(
    made: MetaPlan, index: int, runs: Sequence[_Run], outcomes: Sequence[_Outcome], scores: Sequence[float]
) -> dict[str, Any]:
    """What the meta-seeds of one point came to, for the tables and the result."""
    own = [i for i, run in enumerate(runs) if run.point == index]
    fitness = np.array([scores[i] for i in own])
    iqm = estimate_iqm(fitness)
    steps = [outcomes[i].summary["env_steps"] for i in own if outcomes[i].summary]
    return folders.plain(
        {
            "settings": made.points[index],
            "test_fitness": fitness,
            "iqm": iqm.value,
            "ci95": [iqm.low, iqm.high],
            "failed": int((~np.isfinite(fitness)).sum()),
            "failures": {runs[i].folder: outcomes[i].failure for i in own if outcomes[i].failure},
            "env_steps": round(float(np.mean(steps))) if steps else None,
            "folder": "." if len(made.points) == 1 else f"point_{index:03d}",
        }
    )
