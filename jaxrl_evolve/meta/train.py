"""Meta-training from the host: generation after generation, each of them saved.

The run folder is that of a training run, with `objective.npz`, the meta-trained objective, beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import MetaExperiment, MetaPrograms, build_meta, identity, make_test
from jaxrl_evolve.meta.lifetimes import EVALUATED, PAIRS
from jaxrl_evolve.meta.outcome import MetaTrainResult, draw_fitness, sentence, stored_objective, summarise
from jaxrl_evolve.objectives.library import FILE_NAME
from jaxrl_evolve.objectives.stored import save
from jaxrl_evolve.runs.axes import devices_for_runs, mesh_for, place
from jaxrl_evolve.runs.evaluation import warn_of_cut
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.destinations import check_trackers
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.storage.provenance import command
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.host import Host, open_host
from jaxrl_evolve.training.interrupts import Diverged
from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.programs import to_host
from jaxrl_evolve.training.resumption import Due

_MARKS = ("fitness_by_horizon", "regret", "buffer_horizon")
"""Metrics that are NaN of what there is none of: lives of such horizons, levels with a score."""
_UNKNOWN = ("2",)
"""Where a test, see `make_test`, has the optimum, NaN if it is not known."""
_INDIFFERENT = ("sinks", "keep", "tests", "test_every", "lanes")


def meta_train(
    config: MetaTrainConfig[Any, Any, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    step: int | None = None,
) -> MetaTrainResult:
    """Meta-train an objective.

    Args:
        config: what to train.
        out: run folder to write; None writes nothing.
        resume: continue the run in ``out``.
        overwrite: replace the run in ``out``, which comes back if this one fails before its first row.
        quiet: show no progress.
        step: which checkpoint to resume from, by its number of generations; the newest by default. What the run did
            after it is deleted, and made anew.

    Raises:
        ValueError: the configuration does not fit, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the last whole generation is saved if there is a folder.
        Diverged: every agent of a generation diverged.
    """
    experiment, mesh, programs = check(config)
    warn_of_cut("fitness.max_steps", config.fitness.max_steps, experiment.env)
    if out is not None and not resume:
        check_trackers(config.sinks)
    root = random.key(config.seed)
    # Its root is an argument, so that meta-seeds share a compiled program.
    test = lambda eta, hp, root: make_test(config, experiment, root)(eta, hp)
    with contextlib.ExitStack() as stack:
        host = open_host(
            stack,
            out,
            META_TRAIN,
            folders.plain(config),
            identity={"objective": config.objective, "env": config.env},
            indifferent=(*_INDIFFERENT, *config.method.unread),
            keep=config.keep,
            seconds=("compile_seconds", "run_seconds"),
            resume=resume,
            overwrite=overwrite,
            end=None if step is not None else lambda made: made["generations"],
        )
        run = _Run(config, programs, test, mesh, host)
        run.prepare(root, step)
        host.show(
            stack,
            f"{config.objective} on {config.env}",
            config.generations,
            "generations",
            done=run.generations,
            measure="fitness",
            quiet=quiet,
        )
        if idle := idle_devices(config, mesh):
            host.say(idle)
        if not run.generations:
            run.begin()
        while run.generations < config.generations and not run.lost:  # as a resumed run may be from the start
            run.advance()
            signal = host.signal()
            if signal and run.generations < config.generations and not run.lost:
                host.wait()
                run.draw()
                raise host.interrupted(signal)
        if run.lost:
            host.wait()
            run.draw()
            raise Diverged(
                f"all agents of generation {run.generations:,} diverged, so that nothing could be learned from them; "
                "no objective was stored"
            )
        return run.finish()


def check(config: MetaTrainConfig[Any, Any, Any]) -> tuple[MetaExperiment, Mesh | None, MetaPrograms]:
    """What a configuration means, the devices it is split over, and what is to be compiled; compiles nothing.

    Raises:
        ValueError: something does not fit.
    """
    experiment = build_meta(config)
    mesh = mesh_for(PAIRS, config.agents, config.method.shares)
    return experiment, mesh, config.method.programs(config, experiment, mesh)


def idle_devices(config: MetaTrainConfig[Any, Any, Any], mesh: Mesh | None) -> str:
    """A sentence if some devices have nothing to do, or nothing."""
    used, there = 1 if mesh is None else mesh.size, len(devices_for_runs())
    if used == there:
        return ""
    return f"{used} of {there} devices are used: there are {config.agents} {config.method.shares}, not a multiple of {there}"


class _Run:
    """The state of one meta-training and its programs; `meta_train` is its only user."""

    def __init__(
        self, config: MetaTrainConfig[Any, Any, Any], programs: MetaPrograms, test: Any, mesh: Any, host: Host
    ) -> None:
        self.config = config
        self.mesh = mesh
        self.programs = programs
        self.test = test
        self.host = host
        self.generations = 0
        self.env_steps = 0
        self.evaluation_steps = 0
        self.lost = False
        self.command = command()
        self.state: Any = None

    def prepare(self, root: Any, step: int | None) -> None:
        """Make or restore the state, open the sinks, and compile what is still to be done."""
        hp, test_root = traced(self.config.hp), jax.random.fold_in(root, random.KeyTag.META_TESTS)
        whole = (hp, test_root) if self.mesh is None else place((hp, test_root), self.mesh)
        self.hp, self.test_root = whole
        key = identity(self.config)
        key = key and (key, self.mesh, jax.default_backend())
        with self.host.timed("compile_seconds"):
            init = kept("meta init", key, lambda: jax.jit(self.programs.init))
            self.state = self._laid_out(init(jax.random.fold_in(root, 0), hp))
        self._take_up(step)
        if self.generations >= self.config.generations:
            return
        with self.host.timed("compile_seconds"):
            where = jax.tree.map(lambda x: x.sharding, self.state)
            generation, test = kept(
                "meta generation",
                key,
                lambda: (
                    jax.jit(self.programs.generation, donate_argnums=0, out_shardings=(where, None)),
                    jax.jit(self.test),
                ),
            )
            self._generation = marked(generation.lower(self.state, self.hp).compile(), _MARKS)
            self._test = marked(test.lower(self.state.eta, *whole).compile(), _UNKNOWN)

    def _take_up(self, step: int | None) -> None:
        """Go on from the run that the folder holds, if there is one, and write there."""
        self.host.devices = 1 if self.mesh is None else self.mesh.size
        self.state, record = self.host.restore(self.state, step)
        if step is not None and (folder := self.host.writable):  # it is made anew
            (folder.path / FILE_NAME).unlink(missing_ok=True)
        if record is not None:
            self.generations, self.env_steps = record["generations"], record["env_steps"]
            # Which earlier versions did not record.
            self.lost, self.evaluation_steps = record.get("lost", False), record.get(EVALUATED, 0)
            self.command = record.get("command", "")
        due = Due("generation", range(1, self.generations + 1))
        self.host.open_sinks(self.config.sinks, self.env_steps if self.generations else None, due)

    def _laid_out(self, state: Any) -> Any:
        """The state over the mesh's devices, what belongs to single agents split."""
        if self.mesh is None:
            return state
        parts = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
        axes = {name: (PAIRS,) if name in self.programs.split else () for name in parts}
        return type(state)(**{name: place(part, self.mesh, *axes[name]) for name, part in parts.items()})

    def begin(self) -> None:
        """Test the objective as it is before the first generation, where curves begin."""
        self.host.row({"env_steps": 0, "generation": 0, "seconds": 0.0, **self._tested()}, 0)

    def _tested(self) -> dict[str, Any]:
        """What held-out lives come to, and the steps that were not learned from by then."""
        found = to_host(self._test(self.state.eta, self.hp, self.test_root))
        fitness, _, best, steps = (np.asarray(x) for x in found)
        self.evaluation_steps += round(float(steps))
        known = {"test_optimum": best} if np.isfinite(best).all() else {}
        return {"test_fitness": fitness, **known, EVALUATED: self.evaluation_steps}

    def advance(self) -> None:
        """Make one generation, report it and save it."""
        c, host = self.config, self.host
        with host.timed("run_seconds"):
            self.state, metrics = self._generation(self.state, self.hp)
            metrics = to_host(metrics)
        self.generations += 1
        self.env_steps += round(float(metrics.pop("updates"))) * c.steps_per_update
        self.evaluation_steps += round(float(metrics.pop(EVALUATED)))
        row = {
            "env_steps": self.env_steps,
            "generation": self.generations,
            "seconds": host.seconds["run_seconds"],
            **metrics,
            EVALUATED: self.evaluation_steps,
        }
        if self.generations % c.test_every == 0 or self.generations == c.generations:
            row |= self._tested()
        host.row(row, self.env_steps)
        if metrics["failed"]:
            host.say(
                f"generation {self.generations}: {int(metrics['failed'])} agents diverged; {c.method.of_failed}"
            )
        host.advanced(self.generations, metrics["fitness"])
        self.lost = bool(metrics["failed"] >= c.population)
        record = {"generations": self.generations, "env_steps": self.env_steps, "lost": self.lost}
        record |= {EVALUATED: self.evaluation_steps, "command": self.command}
        host.save(self.generations, self.state, record)

    def draw(self) -> None:
        """Fitness over generations."""
        if folder := self.host.writable:
            draw_fitness(self.config, folder)

    def finish(self) -> MetaTrainResult:
        """The result file, the objective and the figure."""
        host, done = self.host, (self.generations, self.env_steps, self.evaluation_steps)
        host.wait()
        objective = stored_objective(self.config, to_host(self.state.eta), *done, host.rows, self.command)
        summary = summarise(self.config, *done, host.rows, host.seconds)
        if folder := host.writable:
            save(folder.path / FILE_NAME, objective)
        host.result(summary)
        self.draw()
        return MetaTrainResult(self.config, folders.plain(summary), objective, self.state, host.rows)


def _resume(out: str, step: int | None, quiet: bool) -> str:
    result = meta_train(folders.configuration(out, META_TRAIN), out, resume=True, quiet=quiet, step=step)
    return sentence(result.summary, out)


META_TRAIN = Kind(
    name="meta-train",
    mark=kinds.RUN,
    read=MetaTrainConfig.from_json,
    resume=_resume,
    files=(*kinds.METRICS_FILES, FILE_NAME),
    folders=kinds.STATE_FOLDERS,
    shared=True,
)
"""A meta-training."""
