"""The report of `meta_throughput`, made from its rows."""

from __future__ import annotations

from pathlib import Path

import meta_throughput_cases as cases
from throughput_table import Results, origin, ratio, read, replace, spread, table

TITLE = """# Throughput of meta-training

Written by `benchmarks/meta_throughput.py` from `meta_throughput.csv`; what was compared, and how, is in
[README.md](../README.md). Targets are those the project set itself before the measurement. Times are medians of
the timed runs (fastest to slowest).
"""


def write_markdown(source: Path, path: Path) -> None:
    """The report of all rows in ``source``."""
    results = Results(read(source))
    sections = [TITLE, _generation(results), _gradient(results), _buckets(results), _overhead(results)]
    sections += [_devices(results), origin(results, cases.ALL, "GROOVE's code")]
    replace(path, "\n".join(section for section in sections if section))


def _compared(results: Results, name: str, measure: str, other: str = "") -> tuple[str, ...]:
    """Seconds of both sides, and the peer's over ours by time and by processor time."""
    kinds = {"ours": measure, "peer": other or measure}
    get = lambda side, unit: results.get(name, f"{kinds[side]}: {unit}", side)
    times = [get(side, "seconds") for side in kinds]
    factors = [
        ratio(*(results.value(name, f"{kinds[side]}: {unit}", side) for side in ("peer", "ours")))
        for unit in ("seconds", "processor_seconds")
    ]
    return (*(spread(row, 2) for row in times), *factors)


def _generation(results: Results) -> str:
    name = "generation"
    if not results.has(name):
        return ""
    case, rows = cases.CASES[name], []
    for kind, (low, high) in case["lifetimes"].items():
        lives = f"{low}" if low == high else f"{low} to {high}, {kind}"
        updates = results.get(name, f"{kind}: updates")
        rows.append((lives, spread(updates), *_compared(results, name, kind), f"{case['target']:.1f}"))
    header = ("Lifetimes", "Updates", "Ours, s", "GROOVE, s", "Ratio", "of processor time", "Target")
    return f"## {_title(name)}\n\n" + table(header, rows)


def _gradient(results: Results) -> str:
    name = "meta-gradient"
    if not results.has(name):
        return ""
    target, rows = f"{cases.CASES[name]['target']:.1f}", []
    mib = lambda kind, side="ours": results.get(name, f"{kind}: temporary_mib", side)
    for kind, what in (("step", "as the command runs it"), ("side by side", "all agents side by side")):
        own, peer = mib(kind), mib("step", "peer")
        saved = ratio(peer.value if peer else None, own.value if own else None)
        times = _compared(results, name, kind, "step")
        rows.append((what, spread(own, 1), spread(peer, 1), saved, target, *times))
    header = ("Ours", "Ours, MiB", "GROOVE, MiB", "Ratio", "Target", "Ours, s", "GROOVE, s", "Ratio")
    grown = [spread(results.get(name, "grown_mib", side), 0) for side in ("ours", "peer")]
    return (
        f"## {_title(name)}\n\nMemory is what XLA sets aside for intermediate results, on all devices together. "
        f"In its first step the process grew by {grown[0]} MiB, GROOVE's by {grown[1]}.\n\n"
        + table((*header, "of processor time"), rows)
    )


def _buckets(results: Results) -> str:
    name = "buckets"
    if not results.has(name):
        return ""
    case, rows = cases.CASES[name], []
    value = lambda kind, lanes: results.value(name, f"{kind}, {lanes} lanes: seconds")
    for lanes in case["lanes"]:
        mixed, fixed = (results.get(name, f"{x}, {lanes} lanes: seconds") for x in ("log-uniform", "fixed"))
        rows.append(
            (
                "all" if not lanes else str(lanes),
                spread(mixed, 2),
                ratio(value("log-uniform", 0), value("log-uniform", lanes)),
                spread(fixed, 2),
                ratio(value("log-uniform", lanes), value("fixed", lanes)),
            )
        )
    low, high = case["lifetimes"]["log-uniform"]
    ideal = results.value(name, "log-uniform: ideal")
    header = ("Pairs side by side", f"{low} to {high}, s", "Recovered", "All equally long, s", "Times that")
    return (
        f"## Lives of unequal length\n\n{_title(name)}. Pairs are sorted by lifetime and lived through a few at a time "
        f"on each device; side by side, all wait for the longest. Ideal would be {ideal or 0:.2f} times the speed "
        f"of that; target {case['target']:.1f}. The last columns are lives of the same mean that are equally "
        "long, where nobody waits.\n\n" + table(header, rows)
    )


def _overhead(results: Results) -> str:
    name = "overhead"
    if not results.has(name):
        return ""
    values = [results.value(name, f"{x}: seconds") for x in ("generation", "bare")]
    processor = [results.value(name, f"{x}: processor_seconds") for x in ("generation", "bare")]
    rows = [
        (
            spread(results.get(name, "generation: seconds"), 2),
            spread(results.get(name, "bare: seconds"), 2),
            ratio(*values),
            ratio(*processor),
            f"{cases.CASES[name]['target']:.1f}",
        )
    ]
    header = ("Generation, s", "Bare updates, s", "Ratio", "of processor time", "Target, at most")
    return f"## A generation and its updates alone\n\n{_title(name)}.\n\n" + table(header, rows)


def _devices(results: Results) -> str:
    name = "devices"
    if not results.has(name):
        return ""
    rows = []
    for devices in cases.CASES[name]["devices"]:
        seconds = results.get(name, f"{devices} devices: seconds")
        first = results.value(name, "1 devices: seconds")
        here = seconds.value / devices if seconds and seconds.value else None
        rows.append((str(devices), spread(seconds, 2), ratio(first, here)))
    return (
        f"## Weak scaling\n\n{_title(name)}. The devices are forced ones and share the machine's cores, so the throughput "
        "can't grow by more than their number.\n\n"
        + table(("Devices", "Generation, s", "Throughput relative to one"), rows)
    )


def _title(name: str) -> str:
    title = cases.CASES[name]["title"]
    return title[0].upper() + title[1:]
