"""Reports: finished runs, sweeps, meta-trainings and loops of generated environments in, tables and figures out.

A run folder holds ``config.json``, ``metrics.jsonl`` and ``result.json`` as `train` leaves them. The
report trusts ``result.json`` for final returns (one per seed) and recomputes every statistic from them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from jaxrl_evolve.results import figures
from jaxrl_evolve.results.report.compare import Comparison, Row, compare
from jaxrl_evolve.results.report.find import GENERATED, META_TRAINED, SWEPT, TRAINED, Found, find
from jaxrl_evolve.results.report.loops import LoopRow, read_loop
from jaxrl_evolve.results.report.loops_figures import draw_loops
from jaxrl_evolve.results.report.loops_text import loops_csv, section, skills_csv, specs_csv
from jaxrl_evolve.results.report.meta import MetaRow, meta_notes, read_meta_sweep, read_meta_training
from jaxrl_evolve.results.report.place import TEXT, check_out, clear
from jaxrl_evolve.results.report.pooled import pooled
from jaxrl_evolve.results.report.runs import ReportError, Run, read_run, read_runs, read_sweep
from jaxrl_evolve.results.report.text import markdown, meta_csv, results_csv, returns_csv

__all__ = [
    "Comparison",
    "Found",
    "MetaRow",
    "Report",
    "ReportError",
    "Row",
    "Run",
    "compare",
    "find",
    "read_run",
    "read_runs",
    "report",
]

_DRAWN, _CURVES = 30, 10  # points of sweeps in the figures of one task; the tables have all


@dataclasses.dataclass(frozen=True)
class Report:
    """What `report` found and wrote.

    Attributes:
        comparison: the numbers of training runs, points of sweeps among them.
        metas: those of meta-trainings.
        loops: those of loops of generated environments.
        markdown: the text of ``report.md``.
        notes: what a reader must know to read the numbers rightly; also in the text.
        files: everything written.
    """

    comparison: Comparison
    metas: tuple[MetaRow, ...]
    loops: tuple[LoopRow, ...]
    markdown: str
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def report(
    folders: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    more: Callable[[Comparison], str] | None = None,
    pool: bool = False,
    notes: Sequence[str] = (),
) -> Report:
    """Compare finished runs: ``report.md``, ``results.csv``, ``returns.csv``, ``meta_trainings.csv`` and figures; of loops
    of generated environments ``loops.csv``, ``specs.csv``, ``skills.csv`` and theirs.

    Args:
        folders: folders of training runs, of sweeps (each point is a row, as is each of a run that has some), of
            meta-trainings and sweeps of them, of loops of generated environments, or folders that hold some at any depth (unfinished ones in there are skipped
            with a note).
        out: folder for the report; made if need be. An earlier report there is replaced, anything else refused.
        labels: a name for each of ``folders``, in order, instead of the algorithm's or the objective's.
        resamples: bootstrap resamples for each interval.
        seed: of the bootstrap.
        more: makes a section of the text from the numbers of training runs.
        pool: whether training runs of one name, task and number of steps are seeds of one row, see `pooled`; else each is a row.
        notes: sentences of the caller's, before the report's own.

    Returns:
        The `Report`.

    Raises:
        ReportError: for a folder without results, a damaged file (in a folder below a given one it is a note, as long as
            there is another one to report), labels that are not one for each folder, or an
            ``out`` that cannot be written or holds something else. Nothing is written before all runs are read.
    """
    folders = list(folders)
    if labels and len(labels) != len(folders):
        raise ReportError(f"there are {len(labels)} labels for {len(folders)} folders; give one for each")
    check_out(out := Path(out))
    found, skipped = find(folders)
    runs, metas, loops, about_sweeps = _read(found, labels or [""] * len(folders), resamples, seed)
    comparison = compare(pooled(runs) if pool else runs, resamples=resamples, seed=seed)
    try:
        out.mkdir(parents=True, exist_ok=True)
        drawn, about_curves = _draw(comparison, out) if runs else ([], [])
        drawn_loops, about_loops = draw_loops(loops, out) if loops else ([], [])
        drawn += drawn_loops
        about = (*skipped, *about_sweeps, *comparison.notes, *about_curves, *meta_notes(metas), *about_loops)
        notes = (*notes, *about)
        names = [path.name for path in drawn]
        sections = ([more(comparison)] if more else []) + ([section(loops, names)] if loops else [])
        text = markdown(
            comparison,
            metas,
            notes,
            names,
            resamples,
            "\n\n".join(filter(None, sections)),
            [(row.folder, row.result) for row in loops],
        )
        tables = {TEXT: text}
        if runs:
            tables |= {
                "results.csv": results_csv(comparison.rows),
                "returns.csv": returns_csv(comparison.rows),
            }
        if metas:
            tables["meta_trainings.csv"] = meta_csv(metas)
        if loops:
            tables |= {
                "loops.csv": loops_csv(loops),
                "specs.csv": specs_csv(loops),
                "skills.csv": skills_csv(loops),
            }
        written = [_write(out / name, content) for name, content in tables.items()]
        clear(out, [*written, *drawn])
    except OSError as error:
        raise ReportError(f"cannot write the report to {out}: {error.strerror or error}") from None
    return Report(comparison, tuple(metas), tuple(loops), text, notes, (*written, *drawn))


def _read(
    found: Sequence[Found], names: Sequence[str], resamples: int, seed: int
) -> tuple[list[Run], list[MetaRow], list[LoopRow], list[str]]:
    """Rows of the three tables, and notes on points of sweeps that are missing, and on folders that nobody has named and
    that cannot be read.
    """
    runs, metas, loops, notes = list[Run](), list[MetaRow](), list[LoopRow](), list[str]()
    options, damaged = {"resamples": resamples, "seed": seed}, list[ReportError]()
    for folder, kind, given, below in found:
        name = names[given]
        try:
            if kind in (TRAINED, SWEPT):
                rows, about = read_sweep(folder) if kind == SWEPT else read_runs(folder)
                runs += [dataclasses.replace(row, name=name) for row in rows]
                notes += about
            elif kind == GENERATED:
                loops.append(read_loop(folder, name))
            elif kind == META_TRAINED:
                metas.append(read_meta_training(folder, name, options))
            else:
                metas += read_meta_sweep(folder, name, options)
        except ReportError as error:
            if not below:
                raise
            notes.append(f"{folder} is left out: {error}.")
            damaged.append(error)
    if not runs and not metas and not loops:
        if damaged:
            raise damaged[0]
        raise ReportError(f"no seed of {found[0].folder} has a finite eval_return; all of them diverged")
    return runs, metas, loops, notes


def _shown(rows: Sequence[Row], most: int) -> tuple[list[Row], list[str]]:
    """Rows that a figure has room for, and notes on what it leaves out: the worst points of sweeps."""
    shown, notes = list[Row](), list[str]()
    for task in dict.fromkeys(row.run.task for row in rows):
        own = [row for row in rows if row.run.task == task and not row.run.settings]
        points = [row for row in rows if row.run.task == task and row.run.settings]  # best first
        room = max(0, most - len(own))
        shown += own + points[:room]
        if len(points) > room:
            notes.append(
                f"Of the {len(points)} points of sweeps on {task} the best {room} are drawn; the table has all."
            )
    return shown, notes


def _draw(comparison: Comparison, out: Path) -> tuple[list[Path], list[str]]:
    """Every figure the comparison has numbers for, and notes on learning curves that are missing."""
    rows, notes = _shown(comparison.rows, _DRAWN)
    tasks = dict.fromkeys(row.run.task for row in rows)
    final = {task: {row.label: row.iqm for row in rows if row.run.task == task} for task in tasks}
    files = [figures.comparison(final, out / "final_returns.png")]
    evaluated = all(len(row.run.curves.get("eval_return", ((),))[0]) > 1 for row in rows)
    kind = "eval_return" if evaluated else "episode_return"
    few, _ = _shown(rows, _CURVES)
    curves = [figures.Curve(r.label, *r.run.curves[kind], r.run.task) for r in few if kind in r.run.curves]
    if curves:
        ylabel = "Evaluation return" if evaluated else "Training return"
        files.append(figures.learning_curves(curves, out / "learning_curves.png", ylabel=ylabel))
    if curves and not evaluated:
        notes.append("Learning curves show training episodes: not every run was evaluated during training.")
    without = [row for row in rows if kind not in row.run.curves]
    notes += [f"{row.label} on {row.run.task} has no learning curve in its metrics.jsonl." for row in without]
    if comparison.aggregates:
        panels = {"Mean": "mean", "Median": "median", "IQM": "iqm", "Optimality gap": "optimality_gap"}
        shown = {
            panel: {label: getattr(found, field) for label, found in comparison.aggregates.items()}
            for panel, field in panels.items()
        }
        xlabel = "Normalised score (95 % interval)"
        files.append(figures.comparison(shown, out / "aggregates.png", xlabel=xlabel))
    if comparison.improvement:
        path = out / "probability_of_improvement.png"
        files.append(figures.probability_of_improvement(comparison.improvement, path))
    return files, notes


def _write(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
