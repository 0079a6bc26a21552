"""Which tests are part of a quick run, and in which order files begin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import durations
import pytest


def item(file: str, name: str, *marks: pytest.Mark, variant: str | None = None) -> Any:
    return SimpleNamespace(
        nodeid=f"{file}::{name}",
        path=Path(file),
        get_closest_marker=lambda wanted: next((m for m in marks if m.name == wanted), None),
        **({} if variant is None else {"callspec": SimpleNamespace(id=variant)}),
    )


def test_long_tests_are_left_out_of_a_quick_run_unless_they_are_of_the_core_or_new():
    core, some = pytest.mark.core.mark, pytest.mark.core("ppo").mark
    short, long = item("a", "short"), item("a", "long")
    kept, new = item("b", "kept", core), item("b", "new")
    ppo, dqn = item("c", "learns[ppo]", some, variant="ppo"), item("c", "learns[dqn]", some, variant="dqn")
    took = {"a::short": 0.8, "a::long": 9.0, "b::kept": 5.0, "c::learns[ppo]": 6.0, "c::learns[dqn]": 6.0}
    everything = [short, long, kept, new, ppo, dqn]
    assert durations.chosen(everything, took, quick=True) == ([ppo, kept, new, short], [long, dqn])
    assert durations.chosen(everything, took, quick=False) == ([ppo, dqn, short, long, kept, new], [])


def test_a_quick_run_adds_what_took_longer_and_a_whole_one_begins_anew(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(durations, "RECORD", tmp_path / "durations.csv")
    durations.write({"a": 3.0, "b": 1.0, "gone": 2.0, "short": 0.4}, durations.RECORD)
    assert durations.read(durations.RECORD) == {"a": 3.0, "b": 1.0, "gone": 2.0}
    for before in (durations.read(durations.RECORD), {}):
        recorder = durations.Recorder(before)
        for part, took in (("a", 0.5), ("a", 0.7), ("b", 4.0)):
            recorder.pytest_runtest_logreport(SimpleNamespace(nodeid=part, duration=took))  # pyright: ignore
        recorder.pytest_sessionfinish()
        kept = {"a": 3.0, "b": 4.0, "gone": 2.0} if before else {"a": 1.2, "b": 4.0}
        assert durations.read(durations.RECORD) == kept


def test_every_variant_that_a_mark_names_is_there(request: pytest.FixtureRequest):
    named: dict[str, set[str]] = {}
    there: dict[str, set[str]] = {}
    for test in request.session.items:
        mark, variant = test.get_closest_marker("core"), getattr(test, "callspec", None)
        if mark is not None and mark.args and variant is not None:
            whole = test.nodeid.partition("[")[0]
            named[whole] = set(mark.args)
            there.setdefault(whole, set()).add(variant.id)
    assert {test: names - there[test] for test, names in named.items() if names - there[test]} == {}
