"""Folders of training runs and of sweeps read back: what `train` left in ``result.json`` and ``metrics.jsonl``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.files import Unreadable, parse_json, read_regular
from jaxrl_evolve.results.scores import task_name
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.configurations import HISTORY


class ReportError(ValueError):
    """A report cannot be made; the message names the folder or file and what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished run folder, or one point of a sweep.

    Attributes:
        folder: where it lies, as given.
        algorithm: its name.
        task: environment name with its options, as `scores.task_name` writes it.
        returns: final evaluation return of each seed, float64 ``[seeds]``; NaN for a diverged seed.
        env_steps: training steps per seed.
        curves: by kind (``"eval_return"``, ``"episode_return"``): steps ``[points]`` and returns
            ``[seeds, points]``, NaN where a seed has no value.
        result: all of ``result.json``.
        settings: of a point of a sweep, what it was given that others were not.
        name: what to call it instead of its algorithm.
        extended: environment steps per seed at each end that it had come to before it was given more.
        start: where the trained weights are from that it started with; empty for new ones.
        asked: what it was told of objective, curriculum and evaluation, by name; nothing of what its folder does not tell.
        parts: the runs of other root seeds that it was joined from (see `pooled`); empty for what one folder holds.
    """

    folder: Path
    algorithm: str
    task: str
    returns: np.ndarray
    env_steps: int
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    result: Mapping[str, Any]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""
    extended: tuple[int, ...] = ()
    start: str = ""
    asked: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parts: tuple[Run, ...] = ()

    @property
    def marks(self) -> str:
        """What sets it apart from a run that began with nothing and had one horizon; empty for such a run."""
        words = ["extended"] * bool(self.extended) + ["from trained weights"] * bool(self.start)
        return ", ".join(words)


def read_run(folder: str | os.PathLike[str]) -> Run:
    """The folder of a run without points.

    Raises:
        ReportError: if ``result.json`` is missing, damaged or lacks a field, ``metrics.jsonl`` is damaged before its
            last line (a last line cut short by a kill is ignored), or the run has points (see `read_runs`).
    """
    runs, _ = read_runs(folder)
    if "points" in runs[0].result:
        raise ReportError(
            f"{runs[0].folder} has points, whose seeds are no seeds of one run: read_runs takes them apart"
        )
    return runs[0]


def read_runs(folder: str | os.PathLike[str]) -> tuple[list[Run], list[str]]:
    """A run folder: one run, or the points of a run that has several (``train(…, points=…)``, a program of a sweep), and
    notes on those that are left out.

    Raises:
        ReportError: as `read_run`, or the points do not fit.
    """
    together = _read(Path(folder), lost=False)
    if "points" not in together.result:
        return [together], []
    return _with_returns(together.folder, _points(together, _varied(together)))


def read_sweep(folder: Path) -> tuple[list[Run], list[str]]:
    """The points of a sweep of which there is a result, and notes on the others.

    Raises:
        ReportError: the plan is damaged, or no program has files that can be read and fit it.
    """
    plan_path = folder / kinds.SWEEP
    plan = read_object(plan_path)
    try:
        shapes = [(dict(shape["settings"]), [dict(p) for p in shape["points"]]) for shape in plan["shapes"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ReportError(f"{plan_path} is damaged: it is no plan of a sweep") from None
    runs, notes, damaged = list[Run](), list[str](), list[ReportError]()
    for i, (settings, points) in enumerate(shapes):
        path = folder / f"shape_{i:03d}"
        if not (path / "result.json").exists():
            over = (folder / "result.json").exists()
            why = "all of its runs diverged" if over else "it has no result.json yet"
            notes.append(f"{path} is left out: {why}.")
            continue
        try:
            there, lost = _with_returns(path, _points(_read(path), [settings | point for point in points]))
        except ReportError as error:
            notes.append(f"{path} is left out: {error}.")
            damaged.append(error)
            continue
        runs += there
        notes += lost
    if damaged and not runs:
        raise damaged[0]
    return runs, notes


def _with_returns(path: Path, points: list[Run]) -> tuple[list[Run], list[str]]:
    """Those of a folder's points that have a result, and notes on the others."""
    lost = [j for j, point in enumerate(points) if not np.isfinite(point.returns).any()]
    notes = [f"Point {j} of {path} is left out: all of its seeds diverged." for j in lost]
    return [point for j, point in enumerate(points) if j not in lost], notes


def _varied(together: Run) -> list[dict[str, Any]]:
    """Of each point of a run, the hyperparameters that others, or the configuration, have otherwise."""
    path, points = together.folder / "result.json", together.result["points"]
    whole = isinstance(points, list) and all(isinstance(point, dict) for point in points)
    hps: list[dict[str, Any]] = (
        [point["hp"] for point in points if isinstance(point.get("hp"), dict)] if whole else []
    )
    if not hps or len(hps) < len(points):
        raise ReportError(f"{path}: points must be a list of objects, each with the hyperparameters hp")
    config = together.folder / kinds.RUN
    base = read_object(config).get("hp") if config.exists() else None
    known = [*hps, base] if isinstance(base, dict) else hps
    names = [name for name in hps[0] if any(hp.get(name) != hps[0][name] for hp in known)]
    settings = [{f"hp.{name}": hp.get(name) for name in names} for hp in hps]
    if any(own in settings[:j] for j, own in enumerate(settings)):  # the same twice can only be counted
        return [{"point": j} | own for j, own in enumerate(settings)]
    return settings


def _points(together: Run, settings: list[dict[str, Any]]) -> list[Run]:
    """The runs of one program, point by point; what they took together is said of none."""
    total = len(together.returns)
    seeds, rest = divmod(total, len(settings) or 1)
    if rest or not seeds:
        path = together.folder / "result.json"
        raise ReportError(
            f"{path}: eval_return has {total} numbers, which {len(settings)} points cannot share"
        )
    timings = ("compile_seconds", "run_seconds", "steps_per_second") if len(settings) > 1 else ()
    result = {name: value for name, value in together.result.items() if name not in timings}
    found = []
    for i, own in enumerate(settings):
        part = slice(i * seeds, (i + 1) * seeds)
        curves = {kind: (steps, values[part]) for kind, (steps, values) in together.curves.items()}
        returns = together.returns[part]
        found.append(
            dataclasses.replace(together, returns=returns, curves=curves, result=result, settings=own)
        )
    return found


def _read(folder: Path, lost: bool = True) -> Run:
    """As `read_run`; where ``lost`` is set all seeds may have diverged."""
    path = folder / "result.json"
    result = read_object(path)
    for name, kind, what in (
        ("algorithm", str, "a name"),
        ("env", str, "a name"),
        ("env_steps", int, "a whole number"),
        ("eval_return", list, "a list with one number per seed"),
    ):
        if name not in result:
            raise ReportError(f"{path} lacks the field {name!r}")
        if not isinstance(result[name], kind):
            raise ReportError(f"{path}: {name} is {result[name]!r}; it must be {what}")
    returns = numbers(result["eval_return"])
    if returns is None or returns.size == 0:
        raise ReportError(f"{path}: eval_return must be a list with one number (or null) per seed")
    if not lost and not np.isfinite(returns).any():
        raise ReportError(f"{path}: no seed has a finite eval_return; all of them diverged")
    options = result.get("env_options") or {}
    if not isinstance(options, dict):
        raise ReportError(f"{path}: env_options is {options!r}; it must be an object of options")
    task = task_name(result["env"], **options)
    if result.get("tasks") == "drawn":  # another task than that of who is evaluated on the environment's own
        task += ", drawn tasks"
    curves = _read_curves(folder / "metrics.jsonl", len(returns))
    path_asked = folder / kinds.RUN
    config = read_object(path_asked) if path_asked.exists() else {}
    extended, start = _origin(path_asked, config, result)
    if extended and result["env_steps"] <= extended[-1]:
        raise ReportError(
            f"{path} is from before the run was given more steps, after {extended[-1]:,}, and it has not finished since; resume it first"
        )
    facts = result["algorithm"], task, returns, result["env_steps"], curves, result
    return Run(folder, *facts, extended=extended, start=start, asked=_asked(config))


def _asked(config: Mapping[str, Any]) -> dict[str, str]:
    """`Run.asked`, which compares runs and so takes any value as it is."""
    found: dict[str, str] = {}
    if "objective" in config:
        found["objective"] = str(config["objective"] or "the algorithm's own")
        if checksum := config.get("objective_sha256"):  # one file may lie at several places
            name = "a file" if "/" in found["objective"] else found["objective"]
            found["objective"] = f"{name} (sha256 {str(checksum)[:8]})"
    if "objective" in config or "curriculum" in config:  # which is written where there is one
        options = config.get("curriculum_options") or {}
        told = " ".join(f"{k}={v}" for k, v in options.items()) if isinstance(options, dict) else str(options)
        found["curriculum"] = f"{config.get('curriculum') or 'none'} {told}".strip()
    evaluation = config.get("evaluation")
    if isinstance(evaluation, dict) and "mode" in evaluation:
        found["evaluation mode"] = str(evaluation["mode"])
    return found


def _origin(path: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[tuple[int, ...], str]:
    """`Run.extended` and `Run.start`, of a configuration and the file that it is from."""
    history, start = config.get(HISTORY) or [], result.get("start") or config.get("start") or ""
    try:
        extended = tuple(int(part["env_steps"]) for part in history)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ReportError(f"{path}: {HISTORY} must be a list of objects, each with env_steps") from None
    if not isinstance(start, str):
        raise ReportError(f"{path}: start is {start!r}; it must be the place of trained weights")
    return extended, start


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ReportError: it cannot be read, or holds none.
    """
    try:
        value = parse_json(read_regular(path))
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from None
    except Unreadable as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ReportError(f"{path} is damaged: it holds no JSON object")
    return value


def _read_curves(path: Path, seeds: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Both kinds of returns over steps, from a file of one JSON object per line."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from None
    found: dict[str, dict[int, np.ndarray]] = {"eval_return": {}, "episode_return": {}}
    for number, line in enumerate(lines, 1):
        if not line.strip() or not line.endswith(b"\n"):
            continue  # a last line without its end was cut off while being written
        try:
            row = parse_json(line)
            step = int(np.int64(row["env_steps"]))
        except (ValueError, TypeError, KeyError, OverflowError):
            raise ReportError(f"{path} is damaged: line {number} is no JSON object with env_steps") from None
        for kind, points in found.items():
            if row.get(kind) is None:
                continue
            values = numbers(row[kind])
            if values is None or len(values) != seeds:
                raise ReportError(
                    f"{path} is damaged: line {number}: {kind} must have {seeds} numbers, one per seed"
                )
            points[step] = values
    return {
        kind: (np.array(sorted(points)), np.stack([points[step] for step in sorted(points)], axis=1))
        for kind, points in found.items()
        if points
    }


def numbers(values: Any) -> np.ndarray | None:
    """A flat list of numbers and nulls as float64, or None if it is something else."""
    if not isinstance(values, list) or not all(v is None or type(v) in (int, float) for v in values):
        return None
    try:
        return np.array([np.nan if v is None else v for v in values], np.float64)
    except OverflowError:  # JSON has whole numbers of any size
        return None
