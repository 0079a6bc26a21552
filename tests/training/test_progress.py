"""The bar on a terminal, two plain lines elsewhere, nothing when quiet."""

import io
import re

import pytest

from jaxrl_evolve.training import progress
from jaxrl_evolve.training.progress import TrainingProgress, count, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def run(stream, clock, **options):
    with TrainingProgress("ppo on [x]-v1", 4000, seeds=2, stream=stream, **options) as bar:
        for step in (1000, 2000, 3000):
            clock[0] += 0.5
            bar.update(step, mean_return=step / 8)
        bar.update(3000, mean_return=float("nan"))
        bar.say("seed [1] stopped: loss is NaN")
    return stream.getvalue()


def test_elsewhere_two_lines(clock):
    lines = run(io.StringIO(), clock).splitlines()
    assert lines == [
        "ppo on [x]-v1: 4,000 steps × 2 seeds",
        "seed [1] stopped: loss is NaN",
        "ppo on [x]-v1: 3,000 of 4,000 steps in 2s, 4.00k steps/s, return 375",
    ]
    lines = run(io.StringIO(), clock, start=500).splitlines()
    assert lines[0].endswith("resumed at 500") and "3.33k steps/s" in lines[-1]


def test_quiet_is_silent(clock):
    assert run(io.StringIO(), clock, quiet=True) == run(Terminal(), clock, quiet=True) == ""


def test_on_a_terminal_a_bar(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with TrainingProgress("ppo on [x]-v1", 4000, seeds=2, stream=stream) as bar:
        clock[0] += 0.5
        bar.update(1000, 125.0)
        clock[0] += 0.5
        bar.update(2000, 250.0)
        bar.say("seed [1] stopped")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "ppo on [x]-v1" in text and "seed [1] stopped" in text
    assert re.search(r"0% compiling", text)
    assert re.search(r"25% 4.00k steps/s  return 125  2s left", text)
    assert re.search(r"50% 4.00k steps/s  return 250  1s left", text)


def test_a_short_run_without_updates(clock):
    stream = io.StringIO()
    with TrainingProgress("x", 10, stream=stream):
        pass
    assert stream.getvalue().splitlines()[-1] == "x: 0 of 10 steps in 0s"


def test_numbers():
    values = {
        0: "0",
        999: "999",
        999.9: "1.00k",
        12_345: "12.3k",
        234_567: "235k",
        4_560_000: "4.56M",
        2e9: "2.00G",
    }
    assert {value: count(value) for value in values} == values
    times = {0.2: "0s", 59.4: "59s", 59.6: "1:00", 187: "3:07", 3729: "1:02:09", -3: "0s"}
    assert {value: duration(value) for value in times} == times
