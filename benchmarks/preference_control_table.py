"""The tables of ``preference_control.py``, from stored rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from preference_control_cells import Study
from preference_control_gate import verdict

from jaxrl_evolve.preferences.games import populations
from jaxrl_evolve.results.meetings import mean_of_meetings
from jaxrl_evolve.results.report.text import markdown_table, with_bounds
from jaxrl_evolve.results.statistics import Estimate, caution, estimate, mean

Rows = Sequence[Mapping[str, str]]
_OWN = ("average", "late", "last")
_BAR_MEAN, _BAR_WORST = 0.03, 0.05


def markdown(study: Study, rows: Rows, meetings: Rows = ()) -> str:
    """The table for readers."""
    by_cell = {cell.name: [r for r in rows if r["cell"] == cell.name] for cell in study.cells}
    there = {name: own for name, own in by_cell.items() if own}
    parts = [f"# {study.title}", study.remark, _told(rows)]
    parts.append(_sector_table(study, there) if study.measure else _return_table(study, there))
    if missing := [name for name in by_cell if name not in there]:
        parts.append(f"Not run yet: {', '.join(missing)}.")
    if meetings:
        parts += ["## Tournament", _tournament(study, meetings)]
    made = sorted({f"`{r['hardware']}`, {r['date']}" for r in rows})
    parts.append(f"Hardware and date: {'; '.join(made)}; shared with other work.")
    name = next(key for key, value in _studies().items() if value is study)
    parts.append(f"Command: `python benchmarks/preference_control.py {name}`.")
    return "\n\n".join(parts) + "\n"


def _studies() -> dict[str, Study]:
    from preference_control_studies import STUDIES

    return STUDIES


def _told(rows: Rows) -> str:
    seeds = sorted(
        {len({r["seed"] for r in rows if r["cell"] == name}) for name in {r["cell"] for r in rows}}
    )
    told = f"Means over {' to '.join(map(str, seeds))} seeds with 95 % bootstrap intervals."
    few = caution(seeds[0]) if seeds else ""
    return f"{told} Intervals are rough: {few}." if few else told


def _numbers(own: Rows, name: str) -> list[float]:
    """Of each seed; NaN of who has none."""
    return [float(row[name] or "nan") for row in own]


def _return_table(study: Study, there: Mapping[str, Rows]) -> str:
    lines = []
    for cell in study.cells:
        if own := there.get(cell.name):
            values = _numbers(own, "eval_return")
            found = estimate(values, mean, non_finite="worst")
            bar = (
                "" if cell.bar is None else f"above {cell.bar:g}: {'yes' if found.value > cell.bar else 'no'}"
            )
            lost = sum(not np.isfinite(value) for value in values)
            lines.append(
                [
                    cell.name,
                    with_bounds(found),
                    f"{lost} lost" if lost else f"{min(values):.4g}",
                    f"{int(own[0]['env_steps']):,}",
                    _asked(own),
                    bar,
                    f"{float(own[0]['run_seconds']):,.0f} s",
                    own[0].get("learning_rate", ""),
                ]
            )
    head = [
        "",
        "Return",
        "Worst seed",
        "Steps per seed",
        "Queries per seed",
        "Bar",
        "Time, all seeds",
        "Step size",
    ]
    there = [i for i in range(len(head)) if not i or any(line[i] for line in lines)]
    return markdown_table([head[i] for i in there], [[line[i] for i in there] for line in lines])


def _asked(own: Rows) -> str:
    """Labels of a seed: of all of them, where they differ the mean, the fewest and the most."""
    if not own[0]["queries"]:
        return "none"
    labels = _numbers(own, "queries")
    if min(labels) == max(labels):
        return f"{labels[0]:,.0f}"
    return f"{mean(np.array(labels)):,.0f} ({min(labels):,.0f} to {max(labels):,.0f})"


def _sector_table(study: Study, there: Mapping[str, Rows]) -> str:
    lines, judges = [], {cell.name: cell.shares for cell in study.cells}
    for name, own in there.items():
        values = {column: _numbers(own, column) for column in _OWN}
        cells = [_exploited(x) for x in values.values()]
        passed = [n for n, x in values.items() if sum(x) / len(x) < _BAR_MEAN and max(x) < _BAR_WORST]
        shares = np.array([[float(x) for x in row["shares"].split()] for row in own])
        far = np.abs(shares - populations(judges[name]).winner).max()
        lines.append([name, *cells, ", ".join(passed) or "none", f"{far:.3f}"])
    bar = f"Mean below {_BAR_MEAN}, worst below {_BAR_WORST}"
    head = [
        "",
        *(f"{name.capitalize()} / worst seed" for name in _OWN),
        bar,
        "Farthest share from the winner's",
    ]
    return markdown_table(head, lines)


def _exploited(values: list[float]) -> str:
    found = estimate(values, mean)
    bounds = f" [{found.low:.4f}, {found.high:.4f}]" if found.low == found.low else ""
    return f"{found.value:.4f}{bounds} / {max(values):.4f}"


def _tournament(study: Study, meetings: Rows) -> str:
    """Win rates of cells against each other, means over all pairs of their seeds."""
    if study.checkpoints:
        return verdict(meetings)
    names = {cell.folder: cell.name for cell in study.cells}
    met: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    for row in meetings:
        (one, i), (other, j) = (row[which].rsplit(":", 1) for which in ("entry", "other"))
        if one != other:
            met.setdefault((names[one], names[other]), {})[i, j] = float(row["win_rate"])
    order = [cell.name for cell in study.cells]
    found = {pair: mean_of_meetings(matrix_of(rates)) for pair, rates in met.items()}
    lines = [[a, *(_rate(found.get((a, b))) for b in order)] for a in order]
    took_part = {
        name: sorted({i for (a, _), rates in met.items() if a == name for i, _ in rates}) for name in order
    }
    lost = [
        f"{name} has {len(seeds)} of {study.seeds} seeds"
        for name, seeds in took_part.items()
        if len(seeds) < study.seeds
    ]
    left_out = f" Seeds that diverged take no part: {'; '.join(lost)}." if lost else ""
    said = f"The rate at which the row's policies beat the column's, with 95 % bootstrap intervals over the seeds of both.{left_out}"
    return f"{said}\n\n" + markdown_table(["", *order], lines)


def matrix_of(rates: Mapping[tuple[str, str], float]) -> np.ndarray:
    """Win rates by pairs of seeds as a matrix, seeds in order."""
    rows, columns = (sorted({pair[side] for pair in rates}, key=int) for side in (0, 1))
    return np.array([[rates[i, j] for j in columns] for i in rows])


def _rate(found: Estimate | None) -> str:
    if found is None:
        return "–"
    bounds = f" [{found.low:.3f}, {found.high:.3f}]" if found.low == found.low else ""
    return f"{found.value:.3f}{bounds}"
