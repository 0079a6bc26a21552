"""Which tests are part of a quick run, and in which order files begin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import durations
import pytest
from durations import Took


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
    took = {
        "a::short": durations.LIMIT,
        "a::long": 9.0,
        "b::kept": 5.0,
        "c::learns[ppo]": 6.0,
        "c::learns[dqn]": 6.0,
    }
    took = {test: Took(seconds) for test, seconds in took.items()}
    everything = [short, long, kept, new, ppo, dqn]
    assert durations.chosen(everything, took, quick=True) == ([ppo, kept, new, short], [long, dqn])
    assert durations.chosen(everything, took, quick=False) == ([ppo, dqn, short, long, kept, new], [])


def test_what_is_shared_counts_for_all_who_need_it_unless_the_core_does():
    core = pytest.mark.core.mark
    with_it = [item("a", "one"), item("a", "two"), item("a", "neither")]
    took = {"a::one": Took(0.1, {"run": 5.0}), "a::two": Took(0.2, {"run": 5.0}), "a::neither": Took(0.3)}
    assert durations.chosen(with_it, took, quick=True) == ([with_it[2]], with_it[:2])
    first = item("a", "one", core)
    assert durations.chosen([first, *with_it[1:]], took, quick=True) == ([first, *with_it[1:]], [])
    took["a::two"] = Took(0.2, {"run": 5.0, "games": 3.0})
    assert durations.chosen([first, *with_it[1:]], took, quick=True) == ([first, with_it[2]], [with_it[1]])
    other = item("b", "other", core)  # of another file
    assert durations.chosen([*with_it, other], took, quick=True) == ([with_it[2], other], with_it[:2])


def test_a_quick_run_adds_what_took_longer_and_a_whole_one_begins_anew(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(durations, "RECORD", tmp_path / "durations.csv")
    before = {"a": Took(3.0), "b": Took(1.0), "gone": Took(2.0)}
    durations.write({**before, "short": Took(durations.KEPT - 0.1)}, durations.RECORD)
    assert durations.read(durations.RECORD) == before
    for known in (before, {}):
        recorder = durations.Recorder(known)
        for part, took, told in (
            ("a", 0.5, []),
            ("a", 0.7, [("shared", ({"run[0]": 0.6}, 0.4))]),
            ("b", 4.0, []),
        ):
            report: Any = SimpleNamespace(nodeid=part, duration=took, user_properties=told)
            recorder.pytest_runtest_logreport(report)
        recorder.pytest_sessionfinish()
        now = {"a": Took(0.8, {"run[0]": 0.6}), "b": Took(4.0)}
        assert durations.read(durations.RECORD) == ({**before, "b": Took(4.0)} if known else now)


def test_a_fixture_is_in_the_time_of_all_who_share_it(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(durations, "RECORD", tmp_path / "durations.csv")
    monkeypatch.setattr(durations, "KEPT", 0.1)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_shared.py").write_text(
        """
import time, pytest
@pytest.fixture(scope="module", params=["ppo", "dqn"])
def run(request): time.sleep(0.2)
@pytest.fixture
def alone(): time.sleep(0.3)
def test_first(run): pass
def test_second(run): pass
def test_alone(alone): pass
"""
    )
    plugins = [durations.Shared(), durations.Recorder({})]
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", str(tmp_path / "pytest.ini")]
    assert pytest.main([str(tmp_path), *options], plugins=plugins) == 0
    took = durations.read(durations.RECORD)
    near = lambda seconds: pytest.approx(seconds, abs=0.1)
    for name in ("first", "second"):
        for number, run in enumerate(("ppo", "dqn")):
            own, shared = took.pop(f"test_shared.py::test_{name}[{run}]")
            assert (own, shared) == (near(0.0), {f"run[{number}]": near(0.2)})
    assert took == {"test_shared.py::test_alone": Took(near(0.3))}


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
