"""What a person sees while a run trains: a bar on a terminal, two plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

_SMOOTHING = 0.3
"""Weight of the latest chunk in the displayed speed: chunks are long, so a few of them are enough."""


class TrainingProgress:
    """The progress of one run; enter it, call `update` after each chunk, and `say` what should stay.

    Args:
        title: what runs, e.g. ``"ppo on CartPole-v1"``.
        total: environment steps per seed in the whole run.
        start: steps that an earlier part of the run has done.
        seeds: number of seeds; speeds count all of them together.
        unit: what is counted.
        measure: what is reported beside it.
        quiet: show nothing.
        stream: where to write; None is standard error.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        start: int = 0,
        seeds: int = 1,
        unit: str = "steps",
        measure: str = "return",
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self._title = title
        self._total = total
        self._seeds = seeds
        self._unit, self._measure = unit, measure
        self._start = self._step = start
        self._console = Console(file=stream or sys.stderr, quiet=quiet, highlight=False)
        self._began = self._last = 0.0
        self._speed: float | None = None
        self._mean_return = math.nan
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        self._began = self._last = time.monotonic()
        if self._console.is_terminal and not self._console.quiet:
            columns = ("[bold]{task.description}", BarColumn(), TaskProgressColumn(), "{task.fields[facts]}")
            self._bar = Progress(
                *(TextColumn(column) if isinstance(column, str) else column for column in columns),
                console=self._console,
                auto_refresh=False,  # no thread beside the one that computes
            )
            self._bar.start()
            self._task = self._bar.add_task(
                escape(self._title), total=self._total, completed=self._step, facts="compiling"
            )
            self._bar.refresh()
        else:
            steps = f"{self._total:,} {self._unit}" + (f" × {self._seeds} seeds" if self._seeds > 1 else "")
            resumed = f", resumed at {self._start:,}" if self._start else ""
            self.say(f"{self._title}: {steps}{resumed}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            return
        seconds = time.monotonic() - self._began
        done = (self._step - self._start) * self._seeds
        facts = [f"{self._step:,} of {self._total:,} {self._unit} in {duration(seconds)}"]
        if done and seconds > 0:
            facts.append(f"{count(done / seconds)} {self._unit}/s")
        if math.isfinite(self._mean_return):
            facts.append(f"{self._measure} {self._mean_return:.4g}")
        self.say(f"{self._title}: {', '.join(facts)}")

    def update(self, step: int, mean_return: Any = None) -> None:
        """Report that ``step`` environment steps per seed are done.

        Args:
            step: steps of the whole run, an earlier part included.
            mean_return: the mean return of recent episodes over all seeds; None or NaN leaves the last.
        """
        now = time.monotonic()
        latest = (step - self._step) * self._seeds / max(now - self._last, 1e-9)
        self._speed = latest if self._speed is None else self._speed + _SMOOTHING * (latest - self._speed)
        self._step, self._last = step, now
        if mean_return is not None and math.isfinite(float(mean_return)):
            self._mean_return = float(mean_return)
        if self._bar is None:
            return
        facts = [f"{count(self._speed)} {self._unit}/s"]
        if math.isfinite(self._mean_return):
            facts.append(f"{self._measure} {self._mean_return:.4g}")
        if self._speed > 0:
            facts.append(f"{duration((self._total - step) * self._seeds / self._speed)} left")
        self._bar.update(self._task, completed=step, facts="  ".join(facts), refresh=True)

    def say(self, text: str) -> None:
        """Write a line that stays, above the bar where there is one."""
        self._console.print(escape(text), soft_wrap=True)


def count(number: float) -> str:
    """A number in three digits: ``950``, ``12.3k``, ``4.56M``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.{max(0, 2 - int(math.log10(max(scaled, 1.0))))}f}{unit}"
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def duration(seconds: float) -> str:
    """A time in hours, minutes and seconds: ``4s``, ``3:07``, ``1:02:09``."""
    whole = max(round(seconds), 0)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest}s"
