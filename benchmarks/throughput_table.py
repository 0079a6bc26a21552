"""Results of `throughput` as rows of a CSV file, and the report made from them."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import throughput_cases as cases

TITLE = """# Throughput

Written by `benchmarks/throughput.py` from `throughput.csv`; what was compared, and how, is in
[README.md](../README.md). Targets are those the project set itself before the measurement.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured number (``low`` and ``high``: range or interval), or a text about a case."""

    case: str
    measure: str
    side: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    text: str = ""


def note(case: str, measure: str, text: str, side: str = "ours") -> Row:
    return Row(case, measure, side, text=text)


def about(case: str, hello: dict[str, Any], side: str = "ours") -> Row:
    """When, on what and with which versions a side of a case was measured."""
    versions = ", ".join(f"{name} {x}" for name, x in hello["versions"].items() if x)
    if side == "peer":
        return note(case, "about", versions, side)
    device = hello["device"]
    when = time.strftime("%Y-%m-%d", time.gmtime())
    hardware = f"{device['cpu_cores']} cores ({processor()}), {device['platform']}"
    return note(case, "about", f"{when}; {source()}; {hardware}; {versions}")


def source() -> str:
    """The commit, and whether anything but results differs from it."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(here.parent), *words], capture_output=True, text=True)

    head = git("rev-parse", "--short=10", "HEAD")
    if head.returncode:
        return "no commit"
    changed = git("diff", "--quiet", "HEAD", "--", ".", ":(exclude)benchmarks/results").returncode
    return f"commit {head.stdout.strip()}{' with changes' if changed else ''}"


def processor() -> str:
    """The processor's name, or nothing where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unnamed processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unnamed processor"


def interval(case: str, measure: str, side: str, values: Sequence[float]) -> Row:
    """Interquartile mean over seeds with its 95 % bootstrap interval."""
    from jaxrl_evolve.results.statistics import estimate, iqm

    found = estimate(values, iqm)
    return Row(case, measure, side, found.value, found.low, found.high, f"{len(values)} seeds")


def read(path: Path) -> list[Row]:
    """The rows of a file; none if it does not exist."""
    if not path.exists():
        return []
    number = lambda text: float(text) if text else None
    with path.open(newline="") as file:
        return [
            Row(
                x["case"],
                x["measure"],
                x["side"],
                number(x["value"]),
                number(x["low"]),
                number(x["high"]),
                x["text"],
            )
            for x in csv.DictReader(file)
        ]


def merge(path: Path, case: str, rows: Iterable[Row], ordered: Sequence[str] = cases.ALL) -> None:
    """Put a case's rows in the place of those it had; cases are ``ordered``."""
    kept = [row for row in read(path) if row.case != case] + list(rows)
    order = {name: i for i, name in enumerate(ordered)}
    kept.sort(key=lambda row: order.get(row.case, len(order)))
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(Row)]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in kept:
        values = (getattr(row, name) for name in names)
        writer.writerow(["" if x is None else f"{x:.6g}" if isinstance(x, float) else x for x in values])
    replace(path, text.getvalue())


def replace(path: Path, text: str) -> None:
    """Write a file so that it holds the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


class Results:
    """Rows by case, measure and side."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = {(row.case, row.measure, row.side): row for row in rows}

    def has(self, *names: str) -> list[str]:
        measured = {case for case, _, _ in self.rows}
        return [name for name in names if name in measured]

    def get(self, case: str, measure: str, side: str = "ours") -> Row | None:
        return self.rows.get((case, measure, side))

    def value(self, case: str, measure: str, side: str = "ours") -> float | None:
        row = self.get(case, measure, side)
        return None if row is None else row.value


def write_markdown(source: Path, path: Path) -> None:
    """The report of all rows in ``source``."""
    results = Results(read(source))
    sections = [TITLE, _speed(results), _returns(results), _breakdown(results), _resets(results)]
    sections += [_compiling(results), _origin(results)]
    replace(path, "\n".join(section for section in sections if section))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def spread(row: Row | None, digits: int = 0) -> str:
    if row is None or row.value is None:
        return "-"
    if row.low is None or row.low != row.low:  # of one or two seeds there is no interval
        return f"{row.value:,.{digits}f}"
    return f"{row.value:,.{digits}f} ({row.low:,.{digits}f} to {row.high:,.{digits}f})"


def ratio(a: float | None, b: float | None) -> str:
    return f"{a / b:.2f}" if a and b else "-"


def _speed(results: Results) -> str:
    rows = []
    for name in results.has(*cases.SPEED):
        case = cases.SPEED[name]
        own, peer = (results.get(name, "steps_per_second", side) for side in ("ours", "peer"))
        pair = lambda measure, digits, name=name: (
            f"{spread(results.get(name, measure), digits)} / "
            f"{spread(results.get(name, measure, 'peer'), digits)}"
        )
        times = ratio(own.value if own else None, peer.value if peer else None)
        compile_seconds, memory = pair("compile_seconds", 1), pair("peak_mib", 0)
        rows.append(
            (case.title, spread(own), spread(peer), times, f"{case.target:.1f}", compile_seconds, memory)
        )
    if not rows:
        return ""
    header = (
        "Environments x rollout",
        "Steps/s, ours",
        "Steps/s, PureJaxRL",
        "Ratio",
        "Target",
        "Compile, s",
        "Peak memory, MiB",
    )
    return (
        "## Against PureJaxRL\n\nMedian of the timed runs, all seeds together (slowest to fastest); compile time "
        "and memory are ours / PureJaxRL's.\n\n" + table(header, rows)
    )


def _returns(results: Results) -> str:
    rows = []
    for name in results.has(*cases.RETURNS):
        case, own = cases.RETURNS[name], results.get(name, "final_return")
        peer, steps = results.get(name, "final_return", "peer"), case.steps // case.seeds
        rows.append((case.title, f"{steps:,}", str(case.seeds), spread(own, 1), spread(peer, 1)))
    if not rows:
        return ""
    return (
        "## Final returns\n\nMean return of the training episodes that ended in the last tenth of training; "
        "interquartile mean over seeds with 95 % bootstrap interval.\n\n"
        + table(("Case", "Steps per seed", "Seeds", "Ours", "PureJaxRL"), rows)
    )


def _breakdown(results: Results) -> str:
    text = ""
    for name in results.has(*cases.BREAKDOWN):
        whole, alone = results.value(name, "whole update"), results.value(name, "network alone")
        parts = [row for row in results.rows.values() if row.case == name and row.value is not None]
        rows = [(row.measure, f"{row.value:.2f}", f"{row.value / whole:.0%}") for row in parts]  # type: ignore[operator]
        text += f"\n{cases.BREAKDOWN[name].title}; the whole takes {ratio(whole, alone)} times the network alone:\n\n"
        text += table(("Part", "ms", "Share"), rows)
    if not text:
        return ""
    return (
        "## Where the time goes\n\nOne update of one seed. Parts are timed alone or as differences, so what the "
        "compiler saves across them shows as a negative rest. The last row is the limit: the network forwards "
        "and backwards on the same minibatches, already shuffled, without optimiser.\n" + text
    )


def _resets(results: Results) -> str:
    text = ""
    for name in results.has(*cases.RESETS):
        case = cases.RESETS[name]
        base, rows = results.value(name, "none"), []
        for policy in case["policies"]:
            own = results.get(name, policy)
            slowdown = ratio(base, own.value if own else None)
            ended, compiled = (results.get(name, f"{policy} {x}") for x in ("episodes", "compile"))
            target = "" if policy == "none" else f"{case['target']:.1f}"
            rows.append((policy, spread(own), slowdown, target, spread(ended), spread(compiled)))
        header = ("Resets", "Steps/s", "Slowdown", "Target, at most", "Episodes ended", "Compile, s")
        text += (
            f"## Cost of resets\n\n{case['title']}; the same training without resets lets ended episodes run "
            "on.\n\n" + table(header, rows)
        )
    return text


def _compiling(results: Results) -> str:
    text = ""
    for name in results.has(*cases.TRACES):
        run, count = results.value(name, "chunks run"), results.value(name, "traces of run")
        init, test = results.value(name, "traces of init"), results.value(name, "traces of evaluate")
        text += (
            f"A run of {run:.0f} chunks traced the chunk {count:.0f} time(s), the initial state {init:.0f} and "
            f"the evaluation {test:.0f}.\n\n"
        )
    for name in results.has(*cases.START):
        rows = [
            (
                attempt,
                *(
                    spread(results.get(name, f"{attempt}: {x}"), 1)
                    for x in ("first row of metrics", "whole command")
                ),
            )
            for attempt in ("cold", "second", "third")
        ]
        case = cases.START[name]
        text += (
            f"Seconds from the start of a `jaxrl-evolve train` process ({case['title']}) to its first row of "
            f"metrics, that is the first update and an evaluation, and to its end. The first process fills the "
            f"compilation cache; target for the others: below {case['target']:.0f} s to the first update.\n\n"
            + table(("Process", "First row", "Whole command"), rows)
        )
    return "## Compilation and start\n\n" + text if text else ""


def _origin(results: Results) -> str:
    return origin(results, cases.ALL, "PureJaxRL")


def origin(results: Results, names: Sequence[str], peer_name: str) -> str:
    """The section that says of every case by which command and on what it was measured."""
    lines = []
    for name in results.has(*names):
        command, own, peer = (
            results.get(name, "command"),
            results.get(name, "about"),
            results.get(name, "about", "peer"),
        )
        against = f"; {peer_name} with {peer.text}" if peer else ""
        lines.append(
            f"- **{name}**: `{command.text if command else ''}`; {own.text if own else ''}{against}."
        )
    return "## Where these numbers are from\n\n" + "\n".join(lines) + "\n"
