"""What the host of every kind of run does: its folder, checkpoints, rows, times, progress, and the end at a signal.

A kind of run says what its state is and how it goes on; for the rest it calls a `Host`, in this order::

    with contextlib.ExitStack() as stack:
        host = open_host(stack, out, KIND, config, identity=…, keep=…, resume=resume, overwrite=overwrite)
        state, record = host.restore(state, step)  # if there is something to take up
        host.open_sinks(chosen, resume_at)
        host.show(stack, title, total, unit, done=…, quiet=quiet)
        while host.done < host.total:
            with host.timed("run_seconds"):
                …
            host.row({…}, env_steps)
            host.advanced(done, measure)
            host.save(done, state, {…})
            if (signal := host.signal()) and host.done < host.total:
                raise host.interrupted(signal)
        host.result(summary)

Of several processes every one makes the same calls, and the first one writes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.checkpoint import Checkpoints, config_digest
from jaxrl_evolve.storage.claim import claim
from jaxrl_evolve.storage.destinations import open_all
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.interrupts import Interrupted, Interrupts, agreed, interruption
from jaxrl_evolve.training.progress import TrainingProgress


@dataclasses.dataclass
class Host:
    """Host state of one run, whatever runs; `open_host` makes it.

    Attributes:
        folder: the run folder; without one nothing is written.
        config: the configuration as JSON data.
        identity: what a checkpoint must agree with, by name.
        resuming: whether a run that is in the folder is to be taken up.
        seconds: what was spent on what, as checkpoints and results tell it.
        checkpoints: None where nothing is saved.
        rows: the metrics, oldest first.
        done: how far the run is, in ``unit``.
        total: how far it is to go.
        unit: what is counted.
        saved: step of the newest checkpoint that this run wrote or was restored from.
    """

    folder: folders.RunFolder | None
    config: Mapping[str, Any]
    identity: Mapping[str, Any]
    resuming: bool
    seconds: dict[str, float]
    checkpoints: Checkpoints | None = None
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    done: int = 0
    total: int = 0
    unit: str = "steps"
    saved: int = 0
    _sink: sinks.Sink = sinks.NOWHERE
    _progress: TrainingProgress | None = None
    _interrupts: Interrupts = dataclasses.field(default_factory=Interrupts)

    @property
    def writable(self) -> folders.RunFolder | None:
        """The folder, if this process is the one that writes there."""
        return self.folder if jax.process_index() == 0 else None

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add what the block takes to ``seconds[name]``, unless it fails."""
        began = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began

    def restore(self, template: Any, step: int | None = None) -> tuple[Any, dict[str, Any] | None]:
        """The state and record of a checkpoint, whose seconds are added; of the newest by default.

        Returns:
            ``(template, None)`` if there is nothing to take up.

        Raises:
            CheckpointError: there is no checkpoint of ``step``, or it is damaged or another run's.
        """
        if not self.resuming or self.checkpoints is None:
            return template, None
        steps = self.checkpoints.steps()
        if step is None and not steps:
            return template, None
        state, record = self.checkpoints.restore(template, step)
        self.saved = steps[-1] if step is None else step
        for name in self.seconds:
            self.seconds[name] += record[name]
        return state, record

    def open_sinks(self, chosen: Any, resume_at: int | None) -> None:
        """Open every destination of rows.

        Args:
            chosen: a `jaxrl_evolve.training.config.SinkConfig`.
            resume_at: keep the rows of an earlier part up to this number of environment steps; None starts anew.

        Raises:
            SinkError: one cannot be opened.
        """
        if self.writable is not None:
            name = " ".join(self.identity[part] for part in self.identity if part != _DIGEST)
            self._sink = open_all(self.writable, chosen, name, self.config, resume_at)

    def show(
        self,
        stack: contextlib.ExitStack,
        title: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        seeds: int = 1,
        measure: str = "return",
        quiet: bool = True,
    ) -> None:
        """Show progress and heed signals until ``stack`` closes; see `TrainingProgress` for the arguments."""
        self.done, self.total, self.unit = done, total, unit
        quiet = quiet or jax.process_index() != 0
        self._progress = stack.enter_context(
            TrainingProgress(title, total, start=done, seeds=seeds, unit=unit, measure=measure, quiet=quiet)
        )
        stack.enter_context(self._interrupts)

    def say(self, text: str) -> None:
        """Write a line that stays beside the progress."""
        if self._progress is not None:
            self._progress.say(text)

    def advanced(self, done: int, measure: Any = None) -> None:
        """Report how far the run is, in its unit."""
        self.done = done
        if self._progress is not None:
            self._progress.update(done, measure)

    def row(self, row: Mapping[str, Any], env_steps: int) -> None:
        """Keep a row of metrics and write it."""
        plain = folders.plain(row)
        self.rows.append(plain)
        self._sink.write(plain, env_steps)

    def save(self, step: int, state: Any, record: Mapping[str, Any]) -> None:
        """Write a checkpoint with the record and the seconds, unless that is done or there is no folder.

        Raises:
            CheckpointError: it, or the one before, could not be written.
        """
        if self.checkpoints is None or self.saved == step:
            return
        self.saved = step
        self.checkpoints.save(step, state, {**record, **self.seconds})

    def wait(self) -> None:
        """Return when the last checkpoint is on disk.

        Raises:
            CheckpointError: it could not be written.
        """
        if self.checkpoints is not None:
            self.checkpoints.wait()

    def signal(self) -> str | None:
        """The name of the signal that any process got, if one did."""
        return agreed(self._interrupts.requested)

    def interrupted(self, signal: str, where: str = "") -> Interrupted:
        """What to raise at a signal.

        Args:
            signal: its name.
            where: where the run stops; by default how far it is.
        """
        where = where or f"after {self.done:,} of {self.total:,} {self.unit}"
        return interruption(signal, where, self.folder and self.folder.path)

    def result(self, summary: Mapping[str, Any]) -> None:
        """Write ``result.json``, so that whoever finds it also finds the last checkpoint."""
        self.wait()
        if self.writable is not None:
            folders.write_json(self.writable.result, summary)

    def close(self, failed: bool = False) -> None:
        """Finish writing; of several processes, a failed one leaves its checkpoint as it is.

        Writing one is done together, and the others may have died or not come to it yet.
        """
        try:
            self._sink.close()
        finally:
            if self.checkpoints is not None and not (failed and jax.process_count() > 1):
                self.checkpoints.close()


_DIGEST = "config_digest"


def open_host(
    stack: contextlib.ExitStack,
    out: str | os.PathLike[str] | None,
    kind: Kind,
    config: Mapping[str, Any],
    *,
    identity: Mapping[str, str] | None = None,
    decisive: Mapping[str, Any] | None = None,
    indifferent: Sequence[str] = (),
    keep: int = 2,
    seconds: Sequence[str] = ("run_seconds", "compile_seconds"),
    resume: bool = False,
    overwrite: bool = False,
) -> Host:
    """The host of a run, closed with ``stack``; its folder is locked until then.

    Args:
        stack: of the whole run.
        out: run folder to write; None writes nothing.
        kind: of run.
        config: the configuration as JSON data.
        identity: what the run is, by name; checkpoints of another are refused. None keeps no checkpoints.
        decisive: the configuration by which checkpoints are known, if it is another.
        indifferent: fields of it that do not decide what the state is and becomes.
        keep: checkpoints kept, newest first.
        seconds: what times are kept of.
        resume: continue the run in ``out``.
        overwrite: delete the run in ``out`` first.

    Raises:
        ValueError: the folder can't be used, holds another kind, or its run was started with another configuration.
    """
    folder = None if out is None else claim(out, kind, config, stack, resume=resume, overwrite=overwrite)
    host = Host(folder, config, dict(identity or {}), resume, dict.fromkeys(seconds, 0.0))
    if folder is not None and identity is not None:
        known = config if decisive is None else decisive
        digest = config_digest({name: value for name, value in known.items() if name not in indifferent})
        host.identity = {**identity, _DIGEST: digest}
        host.checkpoints = Checkpoints(folder.checkpoints, host.identity, keep=keep)
    stack.push(lambda kind, *_: host.close(failed=kind is not None))
    return host
