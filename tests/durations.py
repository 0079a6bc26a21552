"""What tests take: files that take long begin first, and `make test` leaves most long tests to `make test-all`.

    pytest -n 2 --dist loadfile --no-loadscope-reorder --record-durations [--quick]

writes ``durations.csv``, with a cold cache (``JAX_COMPILATION_CACHE_DIR`` an empty folder) on an idle machine: a whole run
anew, a quick one what took longer than before, since the test that compiled a program for others may not be there. A test that
is not in it counts as short: new ones always run.

What tests share, fixtures of a module or of the session, is made by whichever comes first, and is counted for all of them: were
it counted for the first alone, leaving that one out would leave it to the next.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

RECORD = Path(__file__).with_name("durations.csv")
KEPT = 0.4
"""Seconds from which on a test is written down."""
LIMIT = 0.6
"""Seconds beyond which only tests of the core, marked so, are part of ``--quick``."""


class Took(NamedTuple):
    """Seconds of a test.

    Attributes:
        own: of the test and of what is made for it alone.
        shared: of each fixture that it shares with others, whoever was the first to need it.
    """

    own: float = 0.0
    shared: Mapping[str, float] = {}

    @property
    def alone(self) -> float:
        """If there were no other tests."""
        return self.own + sum(self.shared.values())


def read(path: Path | None = None) -> dict[str, Took]:
    """Seconds by test."""
    with (path or RECORD).open(encoding="utf-8", newline="") as lines:
        return {
            row["test"]: Took(float(row["own"]), _mapping(row["shared"])) for row in csv.DictReader(lines)
        }


def _mapping(text: str) -> dict[str, float]:
    pairs = (entry.rsplit(" ", 1) for entry in text.split("; ") if entry)
    return {fixture: float(seconds) for fixture, seconds in pairs}


def write(seconds: Mapping[str, Took], path: Path | None = None) -> None:
    """Those of some length, by name, so that a change shows which."""
    with (path or RECORD).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["test", *Took._fields])
        for test, took in sorted(seconds.items()):
            if took.alone >= KEPT:
                long = {fixture: made for fixture, made in sorted(took.shared.items()) if made >= 0.1}
                shared = "; ".join(f"{fixture} {made:.1f}" for fixture, made in long.items())
                rows.writerow([test, f"{took.own:.1f}", shared])


def chosen(
    items: list[pytest.Item], seconds: Mapping[str, Took], quick: bool
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """What runs, files that take longest first, and what does not.

    What a test of the core shares with the short ones of its file costs these nothing.
    """
    took = {item.nodeid: seconds.get(item.nodeid, Took()) for item in items}
    made: dict[Path, set[str]] = defaultdict(set)
    for item in items:
        if of_the_core(item):
            made[item.path] |= took[item.nodeid].shared.keys()

    def stays(item: pytest.Item) -> bool:
        own, shared = took[item.nodeid]
        anew = sum(shared[fixture] for fixture in shared.keys() - made[item.path])
        return not quick or of_the_core(item) or own + anew <= LIMIT

    runs = [item for item in items if stays(item)]
    files: dict[Path, float] = defaultdict(float)
    fixtures: dict[Path, dict[str, float]] = defaultdict(dict)
    for item in runs:
        files[item.path] += took[item.nodeid].own
        fixtures[item.path].update(took[item.nodeid].shared)
    length = {path: own + sum(fixtures[path].values()) for path, own in files.items()}
    return sorted(runs, key=lambda item: -length[item.path]), [item for item in items if not stays(item)]


def of_the_core(item: pytest.Item) -> bool:
    """Marked so, whole or by the names of some variants: ``@pytest.mark.core("ppo", "dqn")``."""
    mark = item.get_closest_marker("core")
    variant = getattr(item, "callspec", None)
    return mark is not None and (not mark.args or (variant is not None and variant.id in mark.args))


class Shared:
    """Tells, in the process that runs a test, what the fixtures that it shares took, and which of them are in its time."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[Any, int], float] = {}
        self.new: set[tuple[Any, int]] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                made = (fixturedef, getattr(request, "param_index", 0))
                self.seconds[made] = time.perf_counter() - began
                self.new.add(made)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "teardown":
            variant = getattr(getattr(item, "callspec", None), "indices", {})
            there = item._fixtureinfo.name2fixturedefs.items()
            used = {(name, variant.get(name, 0)): (all_[-1], variant.get(name, 0)) for name, all_ in there}
            took = {
                f"{name}[{n}]": self.seconds[made] for (name, n), made in used.items() if made in self.seconds
            }
            within = sum(self.seconds[made] for made in self.new & set(used.values()))
            report.user_properties.append(("shared", (took, within)))
            self.new.clear()
        return report


class Recorder:
    """Adds up what the parts of each test take."""

    def __init__(self, before: Mapping[str, Took]) -> None:
        self.before = before
        self.whole: dict[str, float] = defaultdict(float)
        self.shared: dict[str, tuple[dict[str, float], float]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.whole[report.nodeid] += report.duration
        self.shared.update((report.nodeid, told) for name, told in report.user_properties if name == "shared")

    def pytest_sessionfinish(self) -> None:
        now: dict[str, Took] = {}
        for test, whole in self.whole.items():
            shared, within = self.shared.get(test, ({}, 0.0))
            now[test] = max(
                Took(whole - within, shared), self.before.get(test, Took()), key=lambda took: took.alone
            )
        write({**self.before, **now})
