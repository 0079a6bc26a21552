"""What tests took: files that take long begin first, and `make test` leaves most long tests to `make test-all`.

    pytest -n 2 --dist loadfile --no-loadscope-reorder --record-durations [--quick]

writes ``durations.csv``, with a cold cache (``JAX_COMPILATION_CACHE_DIR`` an empty folder) on an idle machine: a whole run
anew, a quick one what took longer than before, since the test that compiled a program for others may not be there. A test that
is not in it counts as short: new ones always run.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

RECORD = Path(__file__).with_name("durations.csv")
KEPT = 0.5
"""Seconds from which on a test is written down."""
LIMIT = 0.8
"""Seconds beyond which only tests of the core, marked so, are part of ``--quick``."""


def read(path: Path | None = None) -> dict[str, float]:
    """Seconds by test."""
    with (path or RECORD).open(encoding="utf-8", newline="") as lines:
        return {row["test"]: float(row["seconds"]) for row in csv.DictReader(lines)}


def write(seconds: Mapping[str, float], path: Path | None = None) -> None:
    """Those of some length, by name, so that a change shows which."""
    with (path or RECORD).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["test", "seconds"])
        rows.writerows([test, f"{took:.1f}"] for test, took in sorted(seconds.items()) if took >= KEPT)


def chosen(
    items: list[pytest.Item], took: Mapping[str, float], quick: bool
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """What runs, files that take longest first, and what does not."""
    stays = lambda item: not quick or took.get(item.nodeid, 0.0) <= LIMIT or of_the_core(item)
    runs = [item for item in items if stays(item)]
    left = [item for item in items if not stays(item)]
    files: dict[Path, float] = defaultdict(float)
    for item in runs:
        files[item.path] += took.get(item.nodeid, 0.0)
    return sorted(runs, key=lambda item: -files[item.path]), left


def of_the_core(item: pytest.Item) -> bool:
    """Marked so, whole or by the names of some variants: ``@pytest.mark.core("ppo", "dqn")``."""
    mark = item.get_closest_marker("core")
    variant = getattr(item, "callspec", None)
    return mark is not None and (not mark.args or (variant is not None and variant.id in mark.args))


class Recorder:
    """Adds up what the parts of each test take."""

    def __init__(self, before: Mapping[str, float]) -> None:
        self.before = before
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        longer = {test: max(took, self.before.get(test, 0.0)) for test, took in self.seconds.items()}
        write({**self.before, **longer})
