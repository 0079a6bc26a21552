"""What a loop came to: the summary in ``result.json``, and a page with the skills by cycle and the tree of specs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.loops import LOOPS
from jaxrl_evolve.generation.proposal import Proposed
from jaxrl_evolve.generation.standing import Standing
from jaxrl_evolve.generation.texts import cleaned
from jaxrl_evolve.results.report.text import markdown_table
from jaxrl_evolve.storage.provenance import provenance

ARCHIVE, REPORT = "archive.json", "report.md"
SKILL = "skill_"
"""How the columns of skills begin in rows."""


@dataclasses.dataclass(frozen=True)
class GenerateResult:
    """What a loop came to.

    Attributes:
        config: what was asked for.
        summary: the contents of ``result.json``.
        standing: of its end.
        state: of the agent.
        rows: the metrics, oldest first.
    """

    config: GenerateConfig
    summary: dict[str, Any]
    standing: Standing
    state: Any
    rows: list[dict[str, Any]]


def row_of(standing: Standing, seconds: float, proposed: Proposed) -> dict[str, Any]:
    """What a row of metrics says of every loop: where it stands after so many seconds of training, and what was proposed."""
    return {
        "env_steps": standing.env_steps,
        "cycle": standing.done,
        "seconds": seconds,
        "proposed": len(proposed.proposals),
        "refused": len(proposed.rejections),
        "wait_seconds": proposed.seconds,
        "active": len(standing.archive.with_status("active")),
        **{f"{name}_steps": n for name, n in standing.steps.items()},
    }


def summarise(
    config: GenerateConfig,
    standing: Standing,
    rows: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The contents of ``result.json``."""
    archive, last = standing.archive, rows[-1] if rows else {}
    return {
        "loop": config.loop,
        "proposer": config.proposer,
        # Who wrote the specs is part of what a result says.
        "authors": authors(archive),
        "curriculum": LOOPS[config.loop].scheduler(config.curriculum),
        "env": config.env,
        "seed": config.seed,
        "cycles": archive.cycle,
        "env_steps": standing.env_steps,
        "steps": dict(standing.steps),
        "specs": len(archive.entries) - 1,
        "statuses": dict(Counter(entry.status for entry in archive.entries.values())),
        "rejections": dict(archive.rejections),
        "success": last.get("success"),
        "return": last.get("eval_return"),
        "skills": {name: report.rate._asdict() for name, report in standing.feedback.skills.items()},
        **{name: last[name] for name in ("learned", "coverage", "annecs", "annecs_novel") if name in last},
        "seconds": dict(seconds),
        **provenance(),
    }


def authors(archive: Archive) -> dict[str, int]:
    """How many specs are whose, without the original and those that were rejected."""
    first = archive.original.identity
    mine = (e.author for e in archive.entries.values() if e.identity != first and e.status != "rejected")
    return dict(Counter(mine))


def report(config: GenerateConfig, standing: Standing, rows: Sequence[Mapping[str, Any]]) -> str:
    """A page for readers."""
    archive, loop = standing.archive, LOOPS[config.loop]
    steps = ", ".join(f"{n:,} {name}" for name, n in standing.steps.items())
    told = ", ".join(f"{n} by {name}" for name, n in authors(archive).items()) or "none"
    proposer = config.proposer if loop.asks else "none is asked"
    found = rows[-1] if rows else {}
    scheduler = loop.scheduler(config.curriculum)
    by = f" What is played by the curriculum {scheduler}." if scheduler else ""
    columns = [
        "success",
        *[c for c in found if c.startswith(SKILL)],
        *(["coverage"] if "coverage" in found else []),
    ]
    counts = [name for name in ("learned", "annecs") if name in found]
    lines = [
        [
            *(str(row["cycle"]), f"{row['env_steps']:,}"),
            *(_percent(row.get(c)) for c in columns),
            *(str(row.get(c, "")) for c in counts),
        ]
        for row in rows
    ]
    parts = [
        f"# {config.loop} on {config.env}",
        f"{loop.about}. Proposer: {proposer}; specs: {told}.{by} Environment steps: {steps}.",
        "## Episodes of each specialist in its spec" if counts else "## Episodes in the original",
        markdown_table(["Cycle", "Steps", *(c.removeprefix(SKILL) for c in columns), *counts], lines),
        "## Specs",
        tree(archive),
    ]
    if archive.rejections:
        refused = [[reason, n, archive.refused.get(reason, "")] for reason, n in archive.rejections.items()]
        parts += ["## Refused", markdown_table(["Rung or reason", "Candidates", "One of them"], refused)]
    if standing.notes:
        parts += ["## Notes", "\n".join(f"- {cleaned(note)}" for note in standing.notes)]
    return "\n\n".join(parts) + "\n"


def _percent(share: Any) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def tree(archive: Archive) -> str:
    """Each spec below its first parent, as a list."""
    children: dict[str, list[Entry]] = {}
    for entry in archive.entries.values():
        if entry.status != "rejected":
            children.setdefault(entry.parents[0] if entry.parents else "", []).append(entry)
    lines: list[str] = []
    waiting = [(entry, 0) for entry in reversed(children.get("", []))]
    while waiting:
        entry, depth = waiting.pop()
        lines.append(f"{'  ' * depth}- {_line(entry, entry is archive.original)}")
        waiting.extend((child, depth + 1) for child in reversed(children.get(entry.identity, [])))
    return "\n".join(lines)


def _line(entry: Entry, first: bool) -> str:
    target = f" for {entry.target}" if entry.target else ""
    success = (
        f", expected success {100 * entry.belief.mean:.0f} % after {entry.episodes} episodes"
        if entry.episodes
        else ""
    )
    came = "" if first else f" by {entry.author}, cycle {entry.born + 1}"  # the original was there before
    return f"`{entry.identity[:8]}` {entry.operator or 'written'}{target}{came}: {entry.status}{success}"


def sentence(summary: Mapping[str, Any], out: str) -> str:
    """What came out, for whoever asked."""
    told = ", ".join(f"{n} by {name}" for name, n in summary["authors"].items()) or "none"
    success = "unknown" if summary["success"] is None else f"{100 * summary['success']:.1f} %"
    if "annecs" in summary:
        return (
            f"{summary['loop']} on {summary['env']}: {summary['learned']} specs learned, {summary['annecs']} of them out of reach of their neighbours' agents, "
            f"{100 * summary['coverage']:.1f} % of the cells, after {summary['env_steps']:,} steps in {summary['cycles']} cycles; "
            f"specs: {told}\nresults in {out}, report in {out}/{REPORT}"
        )
    return (
        f"{summary['loop']} on {summary['env']}: success in the original {success} after {summary['env_steps']:,} steps in {summary['cycles']} cycles; "
        f"specs: {told}\nresults in {out}, report in {out}/{REPORT}"
    )
