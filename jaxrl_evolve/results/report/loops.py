"""Loops of generated environments read back: what became of their specs, what came of each, and what all of it cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrl_evolve.files import Unreadable, parse_json
from jaxrl_evolve.results.report.runs import ReportError, read_object
from jaxrl_evolve.results.scores import task_name
from jaxrl_evolve.storage import kinds

STEPS = ("original", "generated", "validation", "evaluation", "scoring", "proposing")
"""What environment steps were made for; the first two were learned from."""
COSTS = ("calls", "prompt_tokens", "answer_tokens", "money")
"""What a proposer may have cost beside time."""


@dataclasses.dataclass(frozen=True)
class LoopRow:
    """A finished loop.

    Attributes:
        label: what it is called.
        folder: where it lies.
        task: the original environment with its options.
        seed: of the loop.
        rows: of ``metrics.jsonl``, one for each cycle.
        entries: specs of ``archive.json`` by identity, the original first.
        tables: of ``cycles/skills_*.json``, the oldest first; cycles are counted from 1, as in rows.
        refused: by reason, the sentence that one of those got that were refused.
        result: all of ``result.json``.
    """

    label: str
    folder: Path
    task: str
    seed: int
    rows: tuple[Mapping[str, Any], ...]
    entries: Mapping[str, Mapping[str, Any]]
    tables: tuple[Mapping[str, Any], ...]
    result: Mapping[str, Any]
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def shown(self) -> dict[str, Mapping[str, Any]]:
        """Specs that were not rejected."""
        return {identity: e for identity, e in self.entries.items() if e["status"] != "rejected"}

    def steps(self, what: str) -> int:
        """Environment steps that were made for something, one of `STEPS`."""
        return int(self.result["steps"].get(what, 0))

    @property
    def last_success(self) -> float | None:
        """Of the last cycle; None where nothing was played in it."""
        value = self.rows[-1]["success"] if self.rows else None
        return None if value is None else float(value)

    @property
    def all_steps(self) -> int:
        """Those that were learned from, and those that were not."""
        return sum(self.steps(what) for what in STEPS)


def read_loop(folder: Path, name: str) -> LoopRow:
    """A finished loop.

    Args:
        folder: its run folder.
        name: what to call it instead of loop and proposer.

    Raises:
        ReportError: a file is missing or damaged, or lacks a field.
    """
    result, config = (read_object(folder / file) for file in ("result.json", kinds.RUN))
    archive = read_object(folder / "archive.json")
    tables = [read_object(path) for path in sorted((folder / "cycles").glob("skills_*.json"))]
    rows = _rows(folder / "metrics.jsonl")
    try:
        entries = {entry["identity"]: entry for entry in archive["entries"]}
        proposer = "" if result["proposer"] == "offline" or len(entries) == 1 else f", {result['proposer']}"
        task = task_name(result["env"], **(config.get("env_options") or {}))
        by = f", {result['curriculum']}" if result.get("curriculum") else ""
        label = name or f"{result['loop']}{proposer}{by}"
        said = dict(archive.get("refused", {}))
        row = LoopRow(label, folder, task, int(config["seed"]), rows, entries, tuple(tables), result, said)
        _look(row)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{folder} is damaged: it is no loop of generated environments ({error!r})"
        ) from None
    return row


def _look(row: LoopRow) -> None:
    """Read every field that is shown; whichever is missing raises what comes of it."""
    said = ("operator", "author", "target", "status")
    for entry in row.entries.values():
        _numbers([*entry["belief"], entry["born"], entry["episodes"]])
        if wrong := [name for name in said if not isinstance(entry[name], str)]:
            raise ValueError(f"{wrong[0]} of a spec is no text")
        if lost := [p for p in entry["parents"] if p not in row.entries]:
            raise ValueError(f"a parent {lost[0]!r} is not in the archive")
        _ = list(entry["reasons"])
    for table in row.tables:
        rates = [rate for spec in table["trained"] for rate in (spec["success"], *spec["skills"].values())]
        rates += [table["success"]] if table.get("success") else []
        for mean, low, high, episodes in [*rates, *table["evaluated"].values()]:
            _numbers([mean, low, high, episodes])
        if lost := [spec["spec"] for spec in table["trained"] if spec["spec"] not in row.entries]:
            raise ValueError(f"a spec {lost[0]!r} is not in the archive")
    told = [metrics["success"] for metrics in row.rows]
    # Of a cycle in which nothing was played there is no success.
    _numbers([metrics["env_steps"] for metrics in row.rows] + [value for value in told if value is not None])
    _numbers([row.all_steps, row.result["seconds"]["propose_seconds"], *row.result["rejections"].values()])
    _ = dict(row.result["authors"]), row.result["specs"], row.result["proposer"]


def _numbers(values: Sequence[Any]) -> None:
    if wrong := [value for value in values if not isinstance(value, int | float)]:
        raise ValueError(f"{wrong[0]!r} is no number")


def _rows(path: Path) -> tuple[Mapping[str, Any], ...]:
    """One for each cycle; a last line that a kill has cut short is left out."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
        rows = [parse_json(line) for line in lines if line.endswith(b"\n")]
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from None
    except Unreadable as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    if not all(isinstance(row, dict) for row in rows):
        raise ReportError(f"{path} is damaged: a line holds no JSON object")
    return tuple(rows)


def short(row: LoopRow, identity: str) -> str:
    """What a spec is called in tables and figures: the first letters of its hash, or that it is the original."""
    return "original" if identity == next(iter(row.entries)) else identity[:6]


def expected(entry: Mapping[str, Any]) -> float:
    """Of an entry of the archive, the share of successes that is expected: its belief with one success and one failure besides."""
    won, lost = entry["belief"]
    return (won + 1.0) / (won + lost + 2.0)


def below(row: LoopRow) -> list[tuple[str, int]]:
    """Specs that were not rejected with their depth, each below its first parent, in the order in which they came."""
    children: dict[str, list[str]] = {}
    for identity, entry in row.shown.items():
        parents = [parent for parent in entry["parents"] if parent in row.shown]
        children.setdefault(parents[0] if parents else "", []).append(identity)
    found: list[tuple[str, int]] = []
    waiting = [(identity, 0) for identity in reversed(children.get("", []))]
    while waiting:
        identity, depth = waiting.pop()
        found.append((identity, depth))
        waiting.extend((child, depth + 1) for child in reversed(children.get(identity, [])))
    return found


def born(row: LoopRow, identity: str) -> int:
    """The cycle in which a spec came, from 1; the original was there before."""
    return int(row.entries[identity]["born"]) + (identity != next(iter(row.entries)))


def refusals(row: LoopRow) -> list[tuple[str, int, str]]:
    """By rung, or other reason: how many candidates were refused, and the sentence that one of them got."""
    said = {reason: str(sentence) for reason, sentence in row.refused.items()}
    for entry in row.entries.values():
        if entry["reasons"]:
            said.setdefault(entry["reasons"][0], " ".join(map(str, entry["reasons"][1:])))
    return [(reason, int(count), said.get(reason, "")) for reason, count in row.result["rejections"].items()]


def skill_names(row: LoopRow) -> list[str]:
    """All skills of the tables, in their order."""
    return list(dict.fromkeys(name for table in row.tables for name in table["evaluated"]))


def cells(row: LoopRow, table: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Sequence[float]]]]:
    """The rows of one cycle: spec, ``trained`` or ``evaluated``, and rates ``(share, low, high, episodes)`` by skill and of success.

    A loop without an original to evaluate, and a file of before, have no success there.
    """
    trained = [
        (each["spec"], "trained", {"success": each["success"], **each["skills"]}) for each in table["trained"]
    ]
    success = {"success": table["success"]} if table.get("success") else {}
    return [*trained, (next(iter(row.entries)), "evaluated", {**success, **table["evaluated"]})]
