"""Which figures a report has of loops of generated environments."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.results import figures, loop_figures
from jaxrl_evolve.results.loop_figures import Node
from jaxrl_evolve.results.report.loops import (
    STEPS,
    LoopRow,
    below,
    born,
    cells,
    expected,
    short,
    skill_names,
)

Colour = tuple[int, int, int]
_LOOPS, _SPECS, _LINES, _MAPS = 6, 60, 60, 12  # that there is room for; the tables have all


def draw_loops(rows: Sequence[LoopRow], out: Path) -> tuple[list[Path], list[str]]:
    """All figures of loops, and notes on what they leave out."""
    notes: list[str] = []
    bars = {f"{row.label}, seed {row.seed}": {what: row.steps(what) for what in STEPS} for row in rows}
    files = [loop_figures.steps(bars, out / "loops_steps.png")]
    if curves := _curves(rows):
        files.append(figures.learning_curves(
            curves, out / "loops_success.png", xlabel="Environment steps that were learned from",
            ylabel="Success in the original", shares=True,
        ))  # fmt: skip
    for i, row in enumerate(rows[:_LOOPS], 1):
        made, about = _draw_one(row, out, f"loop_{i}")
        files += made
        notes += about
    if len(rows) > _LOOPS:
        notes.append(
            f"Of the {len(rows)} loops the first {_LOOPS} are drawn one by one; the tables have all."
        )
    return files, notes


def _curves(rows: Sequence[LoopRow]) -> list[figures.Curve]:
    """Success over steps; loops of one name that were evaluated at the same steps are runs of one curve."""
    found: dict[tuple[str, str, tuple[int, ...]], list[list[float]]] = {}
    for row in rows:
        known = [metrics for metrics in row.rows if metrics["success"] is not None]
        at = tuple(int(metrics["env_steps"]) for metrics in known)
        success = [float(metrics["success"]) for metrics in known]
        found.setdefault((row.label, row.task, at), []).append(success)
    return [
        figures.Curve(label, np.asarray(at), np.asarray(success), task)
        for (label, task, at), success in found.items()
        if at
    ]


def _draw_one(row: LoopRow, out: Path, name: str) -> tuple[list[Path], list[str]]:
    told, notes = f"{row.label} on {row.task}, seed {row.seed}", list[str]()
    order = [identity for identity, _ in below(row)]
    if len(order) > _SPECS:
        notes.append(
            f"{told}: of {len(order)} specs the first {_SPECS} are drawn in the tree; specs.csv has all."
        )
        there = set(list(row.shown)[:_SPECS])  # parents come before their children
        order = [identity for identity in order if identity in there]
    files = [loop_figures.tree(_nodes(row, order), out / f"{name}_tree.png", title=told)]
    lines = [
        (f"{table['cycle']}: {short(row, spec)}{', evaluated' if kind == 'evaluated' else ''}", rates)
        for table in row.tables
        for spec, kind, rates in cells(row, table)
    ]
    if len(lines) > _LINES:
        notes.append(
            f"{told}: the last {_LINES} of {len(lines)} lines of skills are drawn; skills.csv has all."
        )
    if lines:
        names = ["success", *skill_names(row)]
        files.append(loop_figures.skills(lines[-_LINES:], names, out / f"{name}_skills.png", title=told))
    frames, legend, about = _frames(row)
    if frames:
        files.append(loop_figures.maps(frames, out / f"{name}_maps.png", title=told, legend=legend))
    return files, [*notes, *(f"{told}: {text}" for text in about)]


def _nodes(row: LoopRow, order: Sequence[str]) -> list[Node]:
    place = {identity: i for i, identity in enumerate(order)}
    nodes = []
    for identity in order:
        entry = row.entries[identity]
        target = f" → {entry['target']}" if entry["target"] else ""
        name = (
            f"{short(row, identity)} {entry['operator']}{target}"
            if entry["parents"]
            else short(row, identity)
        )
        parents = tuple(place[parent] for parent in entry["parents"] if parent in place)
        nodes.append(Node(name, born(row, identity), expected(entry), entry["status"], parents))
    return nodes


def _frames(row: LoopRow) -> tuple[list[tuple[str, np.ndarray]], list[tuple[str, Colour]], list[str]]:
    """A start of each spec that was played most, the original first; what is on them; and why there is none."""
    if row.result.get("language") != "grid":
        return [], [], ["there are maps of grid specs alone."]
    played = sorted(row.shown, key=lambda identity: -row.entries[identity]["episodes"])
    first = next(iter(row.entries))
    chosen = [first, *(identity for identity in played if identity != first)][:_MAPS]
    data = [dict(row.entries[identity]["data"]) for identity in chosen]
    try:
        from jaxrl_envs.specs.grid import GRID
        from jaxrl_envs.specs.picture import AGENT, legend
        from jaxrl_envs.specs.starts import start_frames

        frames = start_frames(data)
        there = {pair: None for each in data for pair in legend(GRID.read(each), held=False).items()}
    except (ImportError, ValueError) as error:
        return [], [], [f"there are no maps: {error}."]
    said = lambda e: f"{100 * expected(e):.0f} % of {e['episodes']:,}" if e["episodes"] else "not played"
    titles = [
        f"{short(row, i)}: {said(row.entries[i])}\n{asked(each)}"
        for i, each in zip(chosen, data, strict=True)
    ]
    return list(zip(titles, frames, strict=True)), [*there, ("agent", AGENT)], []


def asked(data: Mapping[str, Any]) -> str:
    """What a grid spec asks for and hands out, in two short lines at most: what tells maps apart that look alike."""
    clauses = [
        " and ".join([*clause.get("all", ()), *(f"no {name}" for name in clause.get("none", ()))])
        for clause in data["success"]
    ]
    number = lambda count: (
        f"{count['low']:g} to {count['high']:g}" if isinstance(count, dict) else f"{count:g}"
    )
    held = [f"{number(row['count'])} {row['item']}" for row in (data.get("agent") or {}).get("inventory", ())]
    gifts = f", with {', '.join(held)}" if held else ""
    return textwrap.fill(f"{' or '.join(clauses)}{gifts}", 36, max_lines=2, placeholder=" …")
