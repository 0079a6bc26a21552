"""What the host of every kind of run does: its folder, checkpoints, rows, times, progress, and the end at a signal.

A kind of run says what its state is and how it goes on; for the rest it calls a `Host`, in this order::

    with contextlib.ExitStack() as stack:
        host = open_host(stack, out, KIND, config, identity=…, keep=…, resume=resume, overwrite=overwrite)
        state, record = host.restore(state, step)  # if there is something to take up
        host.open_sinks(chosen, resume_at, due)
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from jaxrl_envs.registry import changed
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import sinks, steps
from jaxrl_evolve.storage.checkpoint import Checkpoints, config_digest
from jaxrl_evolve.storage.claim import claim
from jaxrl_evolve.storage.destinations import open_all
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.provenance import numerics
from jaxrl_evolve.training.interrupts import Interrupted, Interrupts, agreed, interruption, resumable
from jaxrl_evolve.training.progress import TrainingProgress
from jaxrl_evolve.training.resumption import Due, check_end, other_bits, rows_until, warn


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
        rows: the metrics, oldest first; where another process writes the folder, those of this part of the run.
        devices: over how many the run is split; to be set before `restore` if it is not one.
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
    devices: int = 1
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
        """The state and record of a checkpoint, whose seconds are added.

        With ``step`` the run goes back to it: its result and later checkpoints are deleted at once, so that after a
        kill nothing is taken up that the rows have not. Says what is not as it was where the checkpoint was made.

        Args:
            template: as in `Checkpoints.restore`.
            step: of the checkpoint; the newest by default.

        Returns:
            ``(template, None)`` if there is nothing to take up.

        Raises:
            CheckpointError: there is no checkpoint of ``step``, or it is damaged or another run's.
        """
        if not self.resuming or self.checkpoints is None or self.folder is None:
            return template, None
        there = self.checkpoints.steps()
        if step is None and not there:
            if self.writable and sinks.has_rows(self.folder.metrics):
                warn(f"there is no checkpoint in {self.folder.path}: the run starts anew")
            return template, None
        state, record = self.checkpoints.restore(template, step)
        self.saved = there[-1] if step is None else step
        if self.writable:
            warn(other_bits(record.get(_CONDITIONS, {}), numerics(self.devices)))
            warn(changed(self.config.get("env", ""), self.config.get("env_options", {})))
            if step is not None:
                self.folder.result.unlink(missing_ok=True)
                steps.forget_after(self.checkpoints.folder, step)
        for name in self.seconds:
            self.seconds[name] += record[name]
        return state, record

    def read_rows(self, resume_at: int | None, due: Due | None = None) -> None:
        """Take over the rows of an earlier part; say which are missing.

        Args:
            resume_at: up to this number of environment steps; None takes none.
            due: the rows that should be there.

        Raises:
            SinkError: one is damaged.
        """
        if self.folder is not None and resume_at is not None:
            there = self.checkpoints.steps() if self.checkpoints else []
            self.rows = rows_until(self.folder.metrics, resume_at, due if self.writable else None, there)

    def open_sinks(self, chosen: Any, resume_at: int | None, due: Due | None = None) -> None:
        """Open every destination of rows.

        Args:
            chosen: a `jaxrl_evolve.training.config.SinkConfig`.
            resume_at: as in `read_rows`.
            due: as there.

        Raises:
            SinkError: one cannot be opened.
        """
        if self.writable is not None:
            self.read_rows(resume_at, due)
            name = " ".join(self.identity[part] for part in self.identity if part != _DIGEST)
            self._sink = open_all(self.writable, chosen, name, self.config, resume_at, self.rows)

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
        plain = folders.plain({**row, sinks.STEP: int(env_steps)})
        self.rows.append(plain)
        self._sink.write(plain, env_steps)

    def save(self, step: int, state: Any, record: Mapping[str, Any]) -> None:
        """Write a checkpoint with the record and the seconds, unless that is done or there is no folder.

        It counts when its rows are on disk as well.

        Raises:
            CheckpointError: it, or the one before, could not be written.
        """
        if self.checkpoints is None or self.saved == step:
            return
        self.saved = step
        record = {**record, **self.seconds, _CONDITIONS: numerics(self.devices)}
        self.checkpoints.save(step, state, record, self._sink.sync)

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
        """Finish writing; the last checkpoint asks for its rows to be on disk.

        Of several processes, a failed one leaves its checkpoint as it is: writing one is done together, and the others
        may have died or not come to it yet.
        """
        try:
            if self.checkpoints is not None and not (failed and jax.process_count() > 1):
                self.checkpoints.close()
        finally:
            self._sink.close()


_DIGEST, _CONDITIONS = "config_digest", "conditions"


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
    end: Callable[[Mapping[str, Any]], int] | None = None,
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
        overwrite: replace the run in ``out``, which comes back if this one fails before its first row.
        end: as in `check_end`; None asks for no checkpoint.

    Raises:
        ValueError: the folder can't be used, holds another kind, or its run was started with another configuration.
        CheckpointError: the run is finished, and its last checkpoint is gone.
    """
    folder = None if out is None else claim(out, kind, config, stack, resume=resume, overwrite=overwrite)
    if folder is not None:
        stack.enter_context(resumable(folder.path))
    host = Host(folder, config, dict(identity or {}), resume, dict.fromkeys(seconds, 0.0))
    if folder is not None and identity is not None:
        known = config if decisive is None else decisive
        digest = config_digest({name: value for name, value in known.items() if name not in indifferent})
        host.identity = {**identity, _DIGEST: digest}
        host.checkpoints = Checkpoints(folder.checkpoints, host.identity, keep=keep)
        if resume and end is not None:
            check_end(folder, host.checkpoints.steps(), end)
    stack.push(lambda kind, *_: host.close(failed=kind is not None))
    return host
