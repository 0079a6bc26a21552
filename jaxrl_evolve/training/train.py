"""The host loop: chunks between stops, and at each stop what a person or a restart will need.

Nothing here is inside a compiled program, so logging, progress, evaluation, checkpoints and interrupts
cost nothing there. The loop's own state is one number, the updates made; everything else is in the
training state, so a resumed run is the uninterrupted one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.checkpoint import Checkpoints, config_digest
from jaxrl_evolve.storage.claim import claim
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build, identity, pinned, recorded, traced, warn_of_horizon
from jaxrl_evolve.training.interrupts import Interrupted, Interrupts, agreed
from jaxrl_evolve.training.outcome import TrainResult, draw_curves, summarise
from jaxrl_evolve.training.programs import AXIS, Programs, compile_programs, group_shapes, to_host
from jaxrl_evolve.training.progress import TrainingProgress
from jaxrl_evolve.training.schedule import Stop, stops


class Diverged(Exception):
    """Every run's loss stopped being finite; the last good state is saved."""


def train(
    config: TrainConfig[Any, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    step: int | None = None,
    points: Sequence[Any] | None = None,
) -> TrainResult:
    """Train every seed of a configuration, side by side.

    Args:
        config: what to train.
        out: run folder to write; None writes nothing.
        resume: continue the run in ``out``.
        overwrite: delete the run in ``out`` first.
        quiet: show no progress.
        step: which checkpoint to resume from, by its number of updates; the newest by default. What the run
            did after it is made anew.
        points: hyperparameter objects to run instead of ``config.hp``, each with every seed (a sweep). Runs
            are ordered point by point.

    Raises:
        ValueError: the configuration does not fit, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the state is saved if there is a folder.
        Diverged: no run is left.
    """
    config = pinned(config)
    experiment = build(config)
    warn_of_horizon(config)
    loop = _Loop(config, points)
    with contextlib.ExitStack() as stack:
        if out is not None:
            loop.folder = _open_folder(loop, out, resume, overwrite, stack)
        stack.callback(loop.close)
        if resume and step is None and (finished := loop.finished(experiment)):
            return finished
        loop.prepare(experiment, resume, step)
        progress = stack.enter_context(
            TrainingProgress(
                f"{config.algorithm} on {config.env}",
                config.env_steps,
                start=loop.updates * config.steps_per_update,
                seeds=loop.runs,
                quiet=quiet or jax.process_index() != 0,
            )
        )
        interrupts = stack.enter_context(Interrupts())
        for stop in loop.remaining():
            if not loop.all_diverged():  # which a resumed run may be from the start
                loop.advance(stop, progress)
            if loop.all_diverged():
                loop.stop_early()
                raise Diverged(loop.divergence_message() + "; no run is left")
            signal = agreed(interrupts.requested)
            if signal and stop.updates < config.updates:
                loop.stop_early()
                raise Interrupted(signal, _how_to_resume(signal, loop, out))
        return loop.finish()


def _how_to_resume(signal: str, loop: _Loop, out: Any) -> str:
    done = (
        f"{signal} after {loop.updates * loop.config.steps_per_update:,} of {loop.config.env_steps:,} steps"
    )
    return (
        f"{done}; nothing was saved" if out is None else f"{done}; continue with: jaxrl-evolve resume {out}"
    )


def _open_folder(
    loop: _Loop, out: str | os.PathLike[str], resume: bool, overwrite: bool, stack: contextlib.ExitStack
) -> folders.RunFolder:
    """The run folder, with the points of a sweep that it was started with."""
    folder = claim(out, recorded(loop.config), stack, resume=resume, overwrite=overwrite)
    if jax.process_index() != 0:
        return folder
    points = {"points": folders.plain(loop.points)}
    if loop.points is not None and not (folder.points.exists() or folder.metrics.exists()):
        folders.write_json(folder.points, points)
    there = folders.read_json(folder.points) if folder.points.exists() else {"points": None}
    if there != points:
        raise ValueError(
            f"the run in {folder.path} was started with other points of a sweep: resume the sweep itself, or "
            "train into another folder"
        )
    return folder


class _Loop:
    """Host state of one training run; `train` is its only user."""

    def __init__(self, config: TrainConfig[Any, Any], points: Sequence[Any] | None) -> None:
        self.config = config
        self.points = points
        self.folder: folders.RunFolder | None = None
        self.runs = config.seeds * (len(points) if points else 1)
        self.group = config.group or self.runs
        if self.runs % self.group:
            raise ValueError(f"group is {self.group}; it must divide the number of runs, {self.runs}")
        self.seeds = np.tile(np.arange(config.seeds), self.runs // config.seeds)
        self.updates = self.saved = 0
        self.run_seconds = self.eval_seconds = self.compile_seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.diverged = np.full(self.runs, -1)
        self.states: list[Any] = []
        self.shardings: Any = None
        self.hps: list[Any] = []
        self.programs: Programs
        self.checkpoints: Checkpoints | None = None
        self.sink = sinks.Sink(lambda row, step: None, lambda: None)

    def prepare(self, experiment: Any, resume: bool, step: int | None = None) -> None:
        """Compile, make or restore the states, open the sinks."""
        mesh = mesh_for(AXIS, self.group)
        self.hps = self._hp_groups()
        # Groups differ in their seeds and hyperparameters, which are arguments: one program serves all.
        self.programs = compile_programs(
            experiment,
            self.hps[0],
            self.group,
            self.config.updates,
            self.config.evaluation,
            self.config.seed,
            mesh,
            identity(self.config),
        )
        self.compile_seconds += self.programs.compile_seconds
        self.states = [
            self.programs.init(seeds, hp) for seeds, hp in zip(self._seed_groups(), self.hps, strict=True)
        ]
        self.shardings = jax.tree.map(lambda x: x.sharding, self.states[0])
        if self.folder is None:
            return
        self.checkpoints = self._open_checkpoints(self.folder)
        if resume and (step is not None or self.checkpoints.steps()):
            self.states, record = self.checkpoints.restore(self.states, step)
            self.updates = self.saved = record["updates"]
            self.run_seconds, self.eval_seconds = record["run_seconds"], record["eval_seconds"]
            self.compile_seconds += record["compile_seconds"]
            self.diverged = np.asarray(record["diverged"])
        if jax.process_index() == 0:
            self.sink = sinks.open_all(
                self.folder,
                self.config.sinks,
                f"{self.config.algorithm} {self.config.env}",
                recorded(self.config),
                self.updates * self.config.steps_per_update if self.updates else None,
            )

    def _open_checkpoints(self, folder: folders.RunFolder) -> Checkpoints:
        identity = {"algorithm": self.config.algorithm, "env": self.config.env}
        identity["config_digest"] = config_digest(_decisive(self.config))
        return Checkpoints(folder.checkpoints, identity, keep=self.config.keep)

    def finished(self, experiment: Any) -> TrainResult | None:
        """The result of a run that needs no more work, read back without compiling anything; else None."""
        if self.folder is None or not self.folder.result.exists():
            return None
        self.checkpoints = self._open_checkpoints(self.folder)
        if self.checkpoints.steps()[-1:] != [self.config.updates]:
            return None
        group = group_shapes(experiment, traced(self.config.hp), self.group, identity(self.config))
        states, _ = self.checkpoints.restore([group] * (self.runs // self.group))
        rows = sinks.read_jsonl(self.folder.metrics)
        if not self.folder.curves.exists():
            self.draw()
        return TrainResult(self.config, folders.read_json(self.folder.result), states, rows)

    def _hp_groups(self) -> list[Any]:
        """Hyperparameters of every group: scalars, or one value per run where there are points."""
        groups = self.runs // self.group
        if self.points is None:
            return [traced(self.config.hp)] * groups
        own = [traced(point) for point in self.points for _ in range(self.config.seeds)]
        stacked = jax.tree.map(lambda *x: np.stack(x), *own)
        return [
            jax.tree.map(lambda x, i=i: x[i * self.group : (i + 1) * self.group], stacked)
            for i in range(groups)
        ]

    def _seed_groups(self) -> list[np.ndarray]:
        return list(self.seeds.reshape(-1, self.group))

    def remaining(self) -> list[Stop]:
        """The stops that are still ahead."""
        c = self.config
        return [
            s for s in stops(c.updates, c.rows, c.evaluation.times, c.checkpoints) if s.updates > self.updates
        ]

    def advance(self, stop: Stop, progress: TrainingProgress) -> None:
        """Train up to a stop and do what is due there."""
        began = time.perf_counter()
        parts = []
        for i, hp in enumerate(self.hps):
            self.states[i], metrics = self.programs.advance(self._load(i), hp, stop.updates - self.updates)
            parts.append(to_host(metrics))
            self._unload(i)
        self.run_seconds += time.perf_counter() - began
        self.updates = stop.updates
        steps = self.updates * self.config.steps_per_update
        metrics = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        row: dict[str, Any] = {
            "env_steps": steps,
            "updates": self.updates,
            "seconds": self.run_seconds,
            **metrics,
        }
        if stop.evaluate:
            row["eval_return"] = self.evaluate(1).mean(-1)
        self._note_divergence(progress)
        row = folders.plain(row)
        self.rows.append(row)
        self.sink.write(row, steps)
        finite = metrics["episode_return"][np.isfinite(metrics["episode_return"])]
        progress.update(steps, finite.mean() if finite.size else None)
        if stop.save:
            self.save()

    def _load(self, i: int) -> Any:
        """Group ``i``'s state where the compiled programs expect it."""
        if len(self.states) > 1:
            self.states[i] = jax.tree.map(jax.device_put, self.states[i], self.shardings)
        return self.states[i]

    def _unload(self, i: int) -> None:
        """With several groups, only the one at work occupies the accelerator."""
        if len(self.states) > 1 and jax.default_backend() != "cpu":
            self.states[i] = jax.device_put(self.states[i], jax.local_devices(backend="cpu")[0])

    def evaluate(self, repeats: int) -> np.ndarray:
        """Returns ``[runs, repeats * episodes]`` of the policies as they are now."""
        began = time.perf_counter()
        groups = []
        for i, seeds in enumerate(self._seed_groups()):
            learner_state = self._load(i).learner
            episodes = [self.programs.evaluate(learner_state, seeds, self.updates, r) for r in range(repeats)]
            groups.append(np.concatenate([to_host(e.returns) for e in episodes], axis=-1))
        self.eval_seconds += time.perf_counter() - began
        return np.concatenate(groups)

    def _note_divergence(self, progress: TrainingProgress) -> None:
        diverged = np.concatenate([to_host(state.diverged) for state in self.states])
        for run in np.flatnonzero((diverged >= 0) & (self.diverged < 0)):
            step = int(diverged[run]) * self.config.steps_per_update
            progress.say(
                f"run {run} (seed {self.seeds[run]}): the loss was not finite after {step:,} steps; the run "
                "stops there and keeps its last good parameters, the others go on"
            )
        self.diverged = diverged

    def all_diverged(self) -> bool:
        """Whether no run is left."""
        return bool((self.diverged >= 0).all())

    def divergence_message(self) -> str:
        """What went wrong, for an error."""
        first = int(self.diverged.max()) * self.config.steps_per_update
        kept = f", whose last good parameters are in {self.folder.checkpoints}" if self.folder else ""
        return f"the loss of all {self.runs} runs was not finite after at most {first:,} steps{kept}"

    def save(self) -> None:
        """Write a checkpoint of now, unless that is done."""
        if self.checkpoints is None or self.saved == self.updates:
            return
        self.saved = self.updates
        record = {
            "updates": self.updates,
            "run_seconds": self.run_seconds,
            "eval_seconds": self.eval_seconds,
            "compile_seconds": self.compile_seconds,
            "diverged": self.diverged.tolist(),
        }
        self.checkpoints.save(self.updates, self.states, record)

    def stop_early(self) -> None:
        """Save what there is, and draw it."""
        self.save()
        if self.checkpoints is not None:
            self.checkpoints.wait()
        self.draw()

    def draw(self) -> None:
        """Draw what has been learned so far."""
        if self.folder is not None and jax.process_index() == 0:
            draw_curves(self.config, self.folder, self.points)

    def close(self) -> None:
        """Finish writing."""
        try:
            self.sink.close()
        finally:
            if self.checkpoints is not None:
                self.checkpoints.close()

    def finish(self) -> TrainResult:
        """The final evaluation, the result file and the figure."""
        evaluation = self.config.evaluation
        repeats = -(-evaluation.final_episodes // evaluation.episodes)
        returns = self.evaluate(repeats)[:, : evaluation.final_episodes].mean(-1)
        returns = np.where(self.diverged >= 0, np.nan, returns)
        seconds = {
            "compile_seconds": self.compile_seconds,
            "run_seconds": self.run_seconds,
            "eval_seconds": self.eval_seconds,
        }
        summary = summarise(self.config, returns, self.diverged, seconds, self.points)
        if self.checkpoints is not None:
            self.checkpoints.wait()  # so that whoever finds a result also finds the agents
        if self.folder is not None and jax.process_index() == 0:
            folders.write_json(self.folder.result, summary)
        self.draw()
        return TrainResult(self.config, folders.plain(summary), self.states, self.rows)


def _decisive(config: TrainConfig[Any, Any]) -> dict[str, Any]:
    """The parts of a configuration that decide what the training state is and becomes."""
    plain = recorded(config)
    for name in ("sinks", "keep", "rows", "checkpoints", "evaluation"):
        del plain[name]
    return plain
