"""The tables of ``preference_control.py``, from stored rows alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from preference_control_studies import SHARES, Study

from jaxrl_evolve.preferences.games import populations
from jaxrl_evolve.results.report.text import markdown_table, with_bounds
from jaxrl_evolve.results.statistics import caution, estimate, mean

Rows = Sequence[Mapping[str, str]]
_OWN = ("average", "late", "last")
_BAR_MEAN, _BAR_WORST = 0.03, 0.05


def markdown(study: Study, rows: Rows, meetings: Rows = ()) -> str:
    """The table for readers."""
    by_cell = {cell.name: [r for r in rows if r["cell"] == cell.name] for cell in study.cells}
    there = {name: own for name, own in by_cell.items() if own}
    parts = [f"# {study.title}", study.remark, _told(rows)]
    parts.append(_sector_table(there) if study.measure else _return_table(study, there))
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
                ]
            )
    return markdown_table(
        ["", "Return", "Worst seed", "Steps per seed", "Queries per seed", "Bar", "Time, all seeds"], lines
    )


def _asked(own: Rows) -> str:
    """Labels of a seed: of all of them, where they differ the mean, the fewest and the most."""
    if not own[0]["queries"]:
        return "none"
    labels = _numbers(own, "queries")
    if min(labels) == max(labels):
        return f"{labels[0]:,.0f}"
    return f"{mean(np.array(labels)):,.0f} ({min(labels):,.0f} to {max(labels):,.0f})"


def _sector_table(there: Mapping[str, Rows]) -> str:
    lines = []
    for name, own in there.items():
        values = {column: _numbers(own, column) for column in _OWN}
        cells = [_exploited(x) for x in values.values()]
        passed = [n for n, x in values.items() if sum(x) / len(x) < _BAR_MEAN and max(x) < _BAR_WORST]
        shares = np.array([[float(x) for x in row["shares"].split()] for row in own])
        far = np.abs(shares - populations(SHARES).winner).max()
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
    names = {cell.folder: cell.name for cell in study.cells}
    of = lambda label: names[label.rpartition(":")[0]]
    order = [cell.name for cell in study.cells]
    found: dict[tuple[str, str], list[float]] = {}
    for row in meetings:
        if row["entry"] != row["other"]:
            found.setdefault((of(row["entry"]), of(row["other"])), []).append(float(row["win_rate"]))
    lines = [
        [a, *(f"{sum(v) / len(v):.3f}" if (v := found.get((a, b))) else "–" for b in order)] for a in order
    ]
    return "The rate at which the row's policies beat the column's.\n\n" + markdown_table(["", *order], lines)
