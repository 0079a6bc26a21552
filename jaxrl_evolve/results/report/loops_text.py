"""Loops of generated environments as text: a section of the report, and tables for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxrl_evolve.results.report.loops import (
    COSTS,
    STEPS,
    LoopRow,
    born,
    cells,
    expected,
    refusals,
    short,
    skill_names,
)
from jaxrl_evolve.results.report.text import csv_text, image, markdown_table, number


def section(rows: Sequence[LoopRow], drawn: Sequence[str]) -> str:
    """The part of the report that is about loops.

    Args:
        rows: at least one.
        drawn: names of the figures that exist beside the report.
    """
    parts = [
        "## Loops of generated environments",
        "Success is the share of episodes in the original after the last cycle. Equal steps are equal in the last column: all that the environments were asked for.",
        markdown_table(
            ["Environment", "Loop", "Specs by", "Seed", "Cycles", "Success", "Learned from", *STEPS[2:], "All steps"],
            [_line(row) for row in rows],
        ),
    ]  # fmt: skip
    for title, name in (("Success in the original", "loops_success.png"), ("Steps", "loops_steps.png")):
        parts += [image(title, name)] if name in drawn else []
    parts += [
        "### What proposers cost",
        "Seconds are of proposing and validating. Only a language model has tokens; money is by the prices that its configuration names.",
        markdown_table(
            ["Loop", "Seed", "Seconds", *(c.replace("_", " ") for c in COSTS)], [_cost(row) for row in rows]
        ),
        "### Refused",
        _refused(rows),
    ]
    for i, row in enumerate(rows, 1):
        parts += _one(i, row, drawn)
    return "\n\n".join(parts)


def _line(row: LoopRow) -> list[Any]:
    by = ", ".join(f"{n} by {name}" for name, n in row.result["authors"].items()) or "none"
    learned = row.steps("original") + row.steps("generated")
    others = (f"{row.steps(what):,}" for what in STEPS[2:])
    last = row.last_success
    success = "–" if last is None else f"{100 * last:.1f} %"
    return [row.task, row.label, by, row.seed, len(row.tables), success, f"{learned:,}", *others, f"{row.all_steps:,}"]  # fmt: skip


def _cost(row: LoopRow) -> list[Any]:
    cost = row.result.get("proposer_cost") or {}
    told = (f"{cost[name]:,.6g}" if name in cost else "–" for name in COSTS)
    return [row.label, row.seed, number(row.result["seconds"]["propose_seconds"]), *told]


def _refused(rows: Sequence[LoopRow]) -> str:
    lines = [[row.label, row.seed, *refusal] for row in rows for refusal in refusals(row)]
    if not lines:
        return "No candidate was refused."
    return markdown_table(["Loop", "Seed", "Rung or reason", "Candidates", "One of them"], lines)


def _one(i: int, row: LoopRow, drawn: Sequence[str]) -> list[str]:
    """Of one loop: its tree, its table of skills at the end, its maps."""
    parts = [f"### {row.label}, seed {row.seed}"]
    for what, title in (("tree", "Specs by the cycle in which they came"), ("maps", "Starts of specs")):
        if (name := f"loop_{i}_{what}.png") in drawn:
            parts.append(image(title, name))
    if row.tables:
        names = ["success", *skill_names(row)]
        lines = [
            [short(row, spec), kind, *(_rate(rates.get(name)) for name in names)]
            for spec, kind, rates in cells(row, row.tables[-1])
        ]
        parts += [
            f"Skills in cycle {row.tables[-1]['cycle']}: percent of episodes with 95 % intervals (Wilson's); `skills.csv` has all cycles. "
            "A dash is no number: of a skill that a spec hands out, or where no episode ended. While training, short episodes count more; where the original is evaluated, each slot plays one.",
            markdown_table(["Spec", "While", *names], lines),
        ]
    if (name := f"loop_{i}_skills.png") in drawn:
        parts.append(image("Skills by cycle and spec", name))
    return parts


def _rate(rate: Sequence[float] | None) -> str:
    if rate is None or not rate[3]:
        return "–"
    mean, low, high = (f"{100 * x:.0f}" for x in rate[:3])
    return f"{mean} [{low}, {high}]"


def loops_csv(rows: Sequence[LoopRow]) -> str:
    """One line per loop: success, steps by use, costs."""
    header = ["env", "loop", "proposer", "seed", "specs", "success", *(f"{s}_steps" for s in STEPS), "all_steps",
              "propose_seconds", *COSTS, "folder"]  # fmt: skip
    lines = []
    for row in rows:
        cost: Mapping[str, Any] = row.result.get("proposer_cost") or {}
        facts = [row.task, row.label, row.result["proposer"], row.seed, row.result["specs"], row.last_success]
        steps = [row.steps(what) for what in STEPS]
        spent = [row.result["seconds"]["propose_seconds"], *(cost.get(name) for name in COSTS)]
        lines.append([*facts, *steps, row.all_steps, *spent, row.folder])
    return csv_text(header, lines)


def specs_csv(rows: Sequence[LoopRow]) -> str:
    """One line per spec that there ever was, those that were rejected too."""
    header = ["folder", "spec", "cycle", "parents", "author", "operator", "target", "status", "expected_success",
              "episodes", "reasons"]  # fmt: skip
    lines = []
    for row in rows:
        for identity, e in row.entries.items():
            origin = [row.folder, identity, born(row, identity), " ".join(e["parents"])]
            facts = [e["author"], e["operator"], e["target"], e["status"], expected(e), e["episodes"]]
            lines.append([*origin, *facts, "; ".join(map(str, e["reasons"]))])
    return csv_text(header, lines)


def skills_csv(rows: Sequence[LoopRow]) -> str:
    """One line per cycle, spec and skill (and success): share of episodes with its interval."""
    lines = [
        [row.folder, table["cycle"], spec, kind, name, *rate]
        for row in rows
        for table in row.tables
        for spec, kind, rates in cells(row, table)
        for name, rate in rates.items()
    ]
    return csv_text(["folder", "cycle", "spec", "while", "skill", "share", "low", "high", "episodes"], lines)
