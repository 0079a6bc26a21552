"""Run folders read back: what `train` left in ``result.json`` and ``metrics.jsonl``."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results.scores import task_name
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.folder import FolderError, kind_of

_TRAINED = "train"  # the kind whose returns can be compared


class ReportError(ValueError):
    """A report cannot be made; the message names the folder or file and what is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished run folder.

    Attributes:
        folder: where it lies, as given.
        algorithm: its name.
        task: environment name with its options, as `scores.task_name` writes it.
        returns: final evaluation return of each seed, float64 ``[seeds]``; NaN for a diverged seed.
        env_steps: training steps per seed.
        curves: by kind (``"eval_return"``, ``"episode_return"``): steps ``[points]`` and returns
            ``[seeds, points]``, NaN where a seed has no value.
        result: all of ``result.json``.
    """

    folder: Path
    algorithm: str
    task: str
    returns: np.ndarray
    env_steps: int
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    result: Mapping[str, Any]


def find_runs(folders: Iterable[str | os.PathLike[str]]) -> tuple[list[Path], list[str]]:
    """Folders of training runs among and below the given ones, each once, and notes on what is left out below.

    Raises:
        ReportError: for a folder that does not exist, holds another kind of run, has no result, or holds no
            finished run.
    """
    found: list[Path] = []
    notes: list[str] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ReportError(f"{folder} is not a folder")
        if (kind := _kind(folder)) != _TRAINED:
            raise ReportError(kinds.mismatch(folder, kind, _TRAINED))
        if (folder / "result.json").exists():
            found.append(folder)
        elif (folder / "config.json").exists():
            raise ReportError(f"{folder} has no result.json: its run has not finished; resume it first")
        else:
            below, left_out = _below(folder)
            if not below:
                raise ReportError(
                    f"{folder} holds no finished run: there is no result.json in it or below it"
                )
            found += below
            notes += left_out
    if not found:
        raise ReportError("a report needs at least one run folder")
    return list({path.resolve(): path for path in found}.values()), notes


def _below(folder: Path) -> tuple[list[Path], list[str]]:
    """Finished training runs at any depth, sorted, and notes on the others; what lies in those is theirs."""
    names = ("result.json", kinds.RUN, kinds.SWEEP)
    there = sorted({path.parent for name in names for path in folder.rglob(name)})
    others = {path: kind for path in there if (kind := _kind(path)) != _TRAINED}
    runs = [path for path in there if path not in others and others.keys().isdisjoint(path.parents)]
    finished = [path for path in runs if (path / "result.json").exists()]
    notes = [f"{path} is left out: it has no result.json yet." for path in runs if path not in finished]
    for path, kind in others.items():
        if others.keys().isdisjoint(path.parents):
            notes.append(f"{path} is left out: it holds {kinds.about(kind).what}.")
    return finished, notes


def _kind(folder: Path) -> str:
    """The kind of run in a folder; what does not say any is taken for a training run, and judged by its result."""
    try:
        return kind_of(folder)
    except FolderError:
        return _TRAINED


def read_run(folder: str | os.PathLike[str]) -> Run:
    """One run folder.

    Raises:
        ReportError: if ``result.json`` is missing, damaged or lacks a field, or ``metrics.jsonl`` is
            damaged before its last line (a last line cut short by a kill is ignored).
    """
    folder = Path(folder)
    path = folder / "result.json"
    result = _read_object(path)
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
    returns = _numbers(result["eval_return"])
    if returns is None or returns.size == 0:
        raise ReportError(f"{path}: eval_return must be a list with one number (or null) per seed")
    if not np.isfinite(returns).any():
        raise ReportError(f"{path}: no seed has a finite eval_return; all of them diverged")
    options = result.get("env_options") or {}
    task = task_name(result["env"], **options)
    curves = _read_curves(folder / "metrics.jsonl", len(returns))
    return Run(folder, result["algorithm"], task, returns, result["env_steps"], curves, result)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
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
            row = json.loads(line)
            step = int(row["env_steps"])
        except (ValueError, TypeError, KeyError):
            raise ReportError(f"{path} is damaged: line {number} is no JSON object with env_steps") from None
        for kind, points in found.items():
            if row.get(kind) is None:
                continue
            values = _numbers(row[kind])
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


def _numbers(values: Any) -> np.ndarray | None:
    """A flat list of numbers and nulls as float64, or None if it is something else."""
    if not isinstance(values, list) or not all(v is None or type(v) in (int, float) for v in values):
        return None
    return np.array([np.nan if v is None else v for v in values], np.float64)
