"""Meta-training from the host: generation after generation, each of them saved.

The run folder is that of a training run, with `objective.npz`, the meta-trained objective, beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxrl_evolve import random
from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.meta.experiment import MetaExperiment, MetaPrograms, build_meta, make_test
from jaxrl_evolve.meta.lifetimes import PAIRS
from jaxrl_evolve.objectives.stored import FILE_NAME, StoredObjective, save
from jaxrl_evolve.results import figures
from jaxrl_evolve.runs.axes import mesh_for, place
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.checkpoint import Checkpoints, config_digest
from jaxrl_evolve.storage.claim import claim
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.interrupts import Interrupted, Interrupts, agreed
from jaxrl_evolve.training.programs import to_host
from jaxrl_evolve.training.progress import TrainingProgress


@dataclasses.dataclass(frozen=True)
class MetaTrainResult:
    """What a meta-training came to.

    Attributes:
        config: what was asked for.
        summary: the contents of ``result.json``.
        objective: the meta-trained objective.
        state: the last state.
        rows: the metrics, oldest first.
    """

    config: MetaTrainConfig[Any, Any, Any]
    summary: dict[str, Any]
    objective: StoredObjective
    state: Any
    rows: list[dict[str, Any]]


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
        overwrite: delete the run in ``out`` first.
        quiet: show no progress.
        step: which checkpoint to resume from, by its number of generations; the newest by default.

    Raises:
        ValueError: the configuration does not fit, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the last whole generation is saved if there is a folder.
    """
    experiment, mesh, programs = check(config)
    root = random.key(config.seed)
    # Its root is an argument, so that meta-seeds share a compiled program.
    test = lambda eta, hp, root: make_test(config, experiment, root)(eta, hp)
    with contextlib.ExitStack() as stack:
        run = _Run(config, programs, test, mesh)
        if out is not None:
            run.folder = claim(out, folders.plain(config), stack, resume=resume, overwrite=overwrite)
        stack.callback(run.close)
        run.prepare(root, resume, step)
        progress = stack.enter_context(
            TrainingProgress(
                f"{config.objective} on {config.env}",
                config.generations,
                start=run.generations,
                unit="generations",
                measure="fitness",
                quiet=quiet or jax.process_index() != 0,
            )
        )
        if idle := idle_devices(config, mesh):
            progress.say(idle)
        interrupts = stack.enter_context(Interrupts())
        while run.generations < config.generations:
            run.advance(progress)
            signal = agreed(interrupts.requested)
            if signal and run.generations < config.generations:
                run.stop_early()
                done = f"{signal} after {run.generations:,} of {config.generations:,} generations"
                how = "nothing was saved" if out is None else f"continue with: jaxrl-evolve resume {out}"
                raise Interrupted(signal, f"{done}; {how}")
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
    used, there = 1 if mesh is None else mesh.size, jax.device_count()
    if used == there:
        return ""
    return f"{used} of {there} devices are used: there are {config.agents} {config.method.shares}, not a multiple of {there}"


class _Run:
    """Host state of one meta-training; `meta_train` is its only user."""

    def __init__(
        self, config: MetaTrainConfig[Any, Any, Any], programs: MetaPrograms, test: Any, mesh: Any
    ) -> None:
        self.config = config
        self.mesh = mesh
        self.programs = programs
        self.test = test
        self.folder: folders.RunFolder | None = None
        self.checkpoints: Checkpoints | None = None
        self.sink = sinks.Sink(lambda row, step: None, lambda: None)
        self.generations = 0
        self.env_steps = 0
        self.run_seconds = self.compile_seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.state: Any = None

    def prepare(self, root: Any, resume: bool, step: int | None) -> None:
        """Make or restore the state, open the sinks, and compile what is still to be done."""
        hp, test_root = traced(self.config.hp), jax.random.fold_in(root, random.KeyTag.META_TESTS)
        whole = (hp, test_root) if self.mesh is None else place((hp, test_root), self.mesh)
        self.hp, self.test_root = whole
        began = time.perf_counter()
        self.state = self._laid_out(jax.jit(self.programs.init)(jax.random.fold_in(root, 0), hp))
        self.compile_seconds += time.perf_counter() - began
        if self.folder is not None:
            self._open(self.folder, resume, step)
        if self.generations >= self.config.generations:
            return
        began = time.perf_counter()
        where = jax.tree.map(lambda x: x.sharding, self.state)
        generation = jax.jit(self.programs.generation, donate_argnums=0, out_shardings=(where, None))
        self._generation = generation.lower(self.state, self.hp).compile()
        self._test = jax.jit(self.test).lower(self.state.eta, *whole).compile()
        self.compile_seconds += time.perf_counter() - began

    def _open(self, folder: folders.RunFolder, resume: bool, step: int | None) -> None:
        """Take up the run that the folder holds, if there is one, and go on writing there."""
        identity = {"objective": self.config.objective, "env": self.config.env}
        identity["config_digest"] = config_digest(_decisive(self.config))
        self.checkpoints = Checkpoints(folder.checkpoints, identity, keep=self.config.keep)
        if resume and (step is not None or self.checkpoints.steps()):
            self.state, record = self.checkpoints.restore(self.state, step)
            self.generations, self.env_steps = record["generations"], record["env_steps"]
            self.run_seconds = record["run_seconds"]
            self.compile_seconds += record["compile_seconds"]
        if jax.process_index() == 0:
            self.sink = sinks.open_all(
                folder,
                self.config.sinks,
                f"{self.config.objective} {self.config.env}",
                folders.plain(self.config),
                self.env_steps if self.generations else None,
            )
            self.rows = sinks.read_jsonl(folder.metrics)

    def _laid_out(self, state: Any) -> Any:
        """The state over the mesh's devices, what belongs to single agents split."""
        if self.mesh is None:
            return state
        parts = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
        axes = {name: (PAIRS,) if name in self.programs.split else () for name in parts}
        return type(state)(**{name: place(part, self.mesh, *axes[name]) for name, part in parts.items()})

    def advance(self, progress: TrainingProgress) -> None:
        """Make one generation, report it and save it."""
        c = self.config
        began = time.perf_counter()
        self.state, metrics = self._generation(self.state, self.hp)
        metrics = to_host(metrics)
        self.run_seconds += time.perf_counter() - began
        self.generations += 1
        self.env_steps += round(float(metrics.pop("updates"))) * c.steps_per_update
        row = {
            "env_steps": self.env_steps,
            "generation": self.generations,
            "seconds": self.run_seconds,
            **metrics,
        }
        if self.generations % c.test_every == 0 or self.generations == c.generations:
            fitness, _, best = (
                np.asarray(x) for x in to_host(self._test(self.state.eta, self.hp, self.test_root))
            )
            row["test_fitness"] = fitness
            if np.isfinite(best).all():
                row["test_optimum"] = best
        row = folders.plain(row)
        self.rows.append(row)
        self.sink.write(row, self.env_steps)
        if metrics["failed"]:
            progress.say(
                f"generation {self.generations}: {int(metrics['failed'])} agents diverged; {c.method.of_failed}"
            )
        progress.update(self.generations, metrics["fitness"])
        if self.checkpoints is not None:
            record = {
                "generations": self.generations,
                "env_steps": self.env_steps,
                "run_seconds": self.run_seconds,
                "compile_seconds": self.compile_seconds,
            }
            self.checkpoints.save(self.generations, self.state, record)

    def stored(self) -> StoredObjective:
        """The objective as it is now, with where it comes from."""
        c = self.config
        tests = [row for row in self.rows if "test_fitness" in row]
        scores = {"test_fitness": tests[-1]["test_fitness"]} if tests else {}
        return StoredObjective(
            kind=c.family.kind,
            settings=c.complete_settings(),
            eta=to_host(self.state.eta),
            horizons=c.horizon_range,
            environments=(c.env,),
            budget={
                "generations": self.generations,
                "population": c.evolution.population,
                "env_steps": self.env_steps,
                "num_envs": c.num_envs,
                "rollout_length": c.rollout_length,
            },
            seeds=(c.seed,),
            scores=scores,
            command=" ".join(["jaxrl-evolve", *sys.argv[1:]]),
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )

    def stop_early(self) -> None:
        """Finish writing, and draw what there is."""
        if self.checkpoints is not None:
            self.checkpoints.wait()
        self.draw()

    def draw(self) -> None:
        """Fitness over generations."""
        if self.folder is not None and jax.process_index() == 0:
            draw_fitness(self.config, self.folder)

    def finish(self) -> MetaTrainResult:
        """The result file, the objective and the figure."""
        if self.checkpoints is not None:
            self.checkpoints.wait()
        objective = self.stored()
        last = self.rows[-1] if self.rows else {}
        summary = {
            "objective": self.config.objective,
            "env": self.config.env,
            "generations": self.generations,
            "population": self.config.evolution.population,
            "env_steps": self.env_steps,
            "fitness": last.get("fitness"),
            "test_fitness": last.get("test_fitness"),
            "test_optimum": last.get("test_optimum"),
            "compile_seconds": self.compile_seconds,
            "run_seconds": self.run_seconds,
            "steps_per_second": self.env_steps / self.run_seconds if self.run_seconds else None,
            "seed": self.config.seed,
            **folders.provenance(),
        }
        if self.folder is not None and jax.process_index() == 0:
            save(self.folder.path / FILE_NAME, objective)
            folders.write_json(self.folder.result, summary)
        self.draw()
        return MetaTrainResult(self.config, folders.plain(summary), objective, self.state, self.rows)

    def close(self) -> None:
        """Finish writing."""
        try:
            self.sink.close()
        finally:
            if self.checkpoints is not None:
                self.checkpoints.close()


def held_out(rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, str]:
    """Fitness of the held-out tasks, ``[tasks, rows]``, as a fraction of the optimum where it is known; and what to
    call it.

    Args:
        rows: those with a ``test_fitness``. Tasks whose optimum is not above zero are left out of fractions.
    """
    fitness = np.array([row["test_fitness"] for row in rows], np.float64).T
    if not all("test_optimum" in row for row in rows):
        return fitness, "Held-out fitness"
    best = np.array(rows[-1]["test_optimum"], np.float64)[:, None]
    reachable = best[:, 0] > 0
    return fitness[reachable] / best[reachable], "Held-out fitness / optimal return"


def draw_fitness(config: MetaTrainConfig[Any, Any, Any], folder: folders.RunFolder) -> None:
    """Draw held-out fitness over generations, as a fraction of the optimum where it is known."""
    rows = [row for row in sinks.read_jsonl(folder.metrics) if "test_fitness" in row]
    if len(rows) < 2:
        return
    fitness, label = held_out(rows)
    curve = figures.Curve(config.objective, np.array([row["generation"] for row in rows]), fitness)
    figures.learning_curves(
        [curve],
        folder.curves,
        title=f"{config.objective} on {config.env}",
        xlabel="Generation",
        ylabel=label,
    )


def _decisive(config: MetaTrainConfig[Any, Any, Any]) -> dict[str, Any]:
    """The parts of a configuration that decide what the state is and becomes."""
    plain = folders.plain(config)
    for name in ("sinks", "keep", "tests", "test_every", "lanes", *config.method.unread):
        del plain[name]
    return plain
