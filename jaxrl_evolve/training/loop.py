"""The host loop: chunks between stops, and at each stop what a person or a restart will need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxrl_envs.contract import Arms
from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.settings.rows import OF_EVALUATION, SCORING_STEPS
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.training.arms import ARMS, arms_of_run
from jaxrl_evolve.training.callbacks import Callback, Moment, tell
from jaxrl_evolve.training.cause import Causes
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, identity, traced
from jaxrl_evolve.training.groups import Groups
from jaxrl_evolve.training.history import has_result, history_of
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.outcome import TrainResult, draw_curves, joined, seen_of, summarise
from jaxrl_evolve.training.parking import host_device, parked, template_of
from jaxrl_evolve.training.probes import Probe, probe_of, told
from jaxrl_evolve.training.programs import AXIS, Programs, compile_programs, group_shapes, to_host
from jaxrl_evolve.training.resumption import Due
from jaxrl_evolve.training.schedule import Stop, rows_due, stops
from jaxrl_evolve.training.start import Start


class Loop:
    """Groups of runs and what has become of them; `train` is its only user.

    Its own state is one number, the updates made; everything else is in the training states.
    """

    def __init__(
        self,
        config: TrainConfig[Any, Any],
        points: Sequence[Any] | None,
        groups: Groups,
        host: Host,
        start: Start | None = None,
    ) -> None:
        self.config = config
        self.points = points
        self.groups = groups
        self.host = host
        self.start = start
        self.stops = stops(config.updates, config.rows, config.evaluation.times, config.checkpoints)
        self.updates = 0
        self.diverged = np.full(groups.runs, -1)
        self.states: list[Any] = []
        self.shardings: Any = None
        self.programs: Programs
        self.causes: Causes
        self.probe: Probe | None = None
        self.arms: Arms | None = None

    def prepare(self, experiment: Experiment, step: int | None) -> None:
        """Compile, make or restore the states, open the sinks."""
        c, host = self.config, self.host
        self.drawn, self.scoring_steps = experiment.drawn, experiment.chunk.scoring_steps
        self.causes = Causes(experiment, c.rollout_length, identity(c))
        mesh = mesh_for(AXIS, self.groups.size)
        host.devices = 1 if mesh is None else mesh.size
        # Groups differ in their seeds and hyperparameters, which are arguments: one program serves all.
        self.probe, self.arms = probe_of(c, experiment, mesh), arms_of_run(c, experiment.env)
        self.programs = compile_programs(
            *(experiment, self.groups.hps[0], self.groups.size, c.updates, c.evaluation, c.seed, mesh),
            identity(c),
        )
        host.seconds["compile_seconds"] += self.programs.compile_seconds
        record = self._restore(step)
        if record is not None:
            self.updates, self.diverged = record["updates"], np.asarray(record["diverged"])
        host.open_sinks(c.sinks, self.updates * c.steps_per_update if self.updates else None, self._due())

    def _restore(self, step: int | None) -> dict[str, Any] | None:
        """Take up the states of a checkpoint, or make new ones; the record of the checkpoint, if there is one.

        At no time are two groups' states where they are worked on, nor that of one twice.
        """
        host, first = self.host, self.programs.init(self.groups.seeds[0], self.groups.hps[0])
        self.shardings = jax.tree.map(lambda x: x.sharding, first)
        if host.resuming and host.checkpoints is not None and host.checkpoints.steps():
            template = template_of(first, self._parking())
            del first
            self.states, record = host.restore([template] * len(self.groups.seeds), step)
            return record
        self.states, record = host.restore([self._begun(first, self.groups.seeds[0])], step)
        del first
        for seeds, hp in zip(self.groups.seeds[1:], self.groups.hps[1:], strict=True):
            self.states.append(self._begun(self.programs.init(seeds, hp), seeds))
        return record

    def _begun(self, state: Any, seeds: np.ndarray) -> Any:
        """The state of a group that has not learned yet, with the weights that it starts from."""
        return parked(state if self.start is None else self.start(state, seeds), self._parking())

    def _parking(self) -> Any:
        """Where groups lie that are not at work; None if they stay."""
        return host_device() if len(self.groups.seeds) > 1 else None

    def finished(self, experiment: Experiment) -> TrainResult | None:
        """The result of a run that needs no more work, read back without compiling anything; else None."""
        folder, checkpoints = self.host.folder, self.host.checkpoints
        if folder is None or checkpoints is None or not has_result(folder, self.config.env_steps):
            return None
        if checkpoints.steps()[-1:] != [self.config.updates]:
            return None
        group = group_shapes(experiment, traced(self.config.hp), self.groups.size, identity(self.config))
        states, _ = checkpoints.restore([template_of(group, self._parking())] * len(self.groups.seeds))
        self.updates = self.config.updates
        self.host.read_rows(self.config.env_steps, self._due())
        if self.host.writable:  # a loss of power may have left the table behind
            sinks.write_table(folder.table, self.host.rows)
        if not folder.curves.exists():
            self.draw()
        return TrainResult(self.config, folders.read_json(folder.result), states, self.host.rows)

    def _due(self) -> Due:
        earlier = [part["updates"] for part in history_of(self.host.folder and self.host.folder.path)]
        return Due("updates", rows_due([*earlier, self.config.updates], self.config.rows, self.updates))

    def advance(self, stop: Stop) -> None:
        """Train up to a stop and do what is due there."""
        host, parts = self.host, []
        with host.timed("run_seconds"):
            for i, hp in enumerate(self.groups.hps):
                self.states[i], metrics = self.programs.advance(
                    self._load(i), hp, stop.updates - self.updates
                )
                parts.append(to_host(metrics))
                self._unload(i)
        self.updates = stop.updates
        steps = self.updates * self.config.steps_per_update
        metrics = joined(parts, 0)
        row = {"env_steps": steps, "updates": self.updates, "seconds": host.seconds["run_seconds"], **metrics}
        if self.scoring_steps:
            row[SCORING_STEPS] = self.updates * self.scoring_steps
        if stop.evaluate:
            seen = self.evaluate(1)
            row |= {f"{OF_EVALUATION}{name}": x.mean(1) for name, x in seen.items() if name != "finished"}
            row |= self._probed()
        self._note_divergence(metrics)
        host.row(row, steps)
        finite = metrics["episode_return"][np.isfinite(metrics["episode_return"])]
        host.advanced(steps, finite.mean() if finite.size else None)
        if stop.save:
            self.save()

    def tell(self, callbacks: Sequence[Callback]) -> None:
        """Tell of the newest row."""
        moment = Moment(self.config, self.updates, self.diverged, lambda: self.states)
        tell(callbacks, self.host.rows[-1], moment, self.stop_early)

    def _load(self, i: int) -> Any:
        """Group ``i``'s state where the compiled programs expect it."""
        if len(self.states) > 1:
            self.states[i] = jax.tree.map(jax.device_put, self.states[i], self.shardings)
        return self.states[i]

    def _learner(self, i: int) -> Any:
        """Group ``i``'s learner where the compiled programs expect it; what it has else stays where it is."""
        learner = self.states[i].learner
        if len(self.states) > 1:
            return jax.tree.map(jax.device_put, learner, self.shardings.learner)
        return learner

    def _unload(self, i: int) -> None:
        """With several groups, only the one at work occupies the accelerator."""
        self.states[i] = parked(self.states[i], self._parking())

    def evaluate(self, repeats: int) -> dict[str, np.ndarray]:
        """Of whole episodes of the policies as they are now, see `seen_of`, leaves ``[runs, repeats * episodes, ...]``."""
        groups = []
        with self.host.timed("eval_seconds"):
            for i, seeds in enumerate(self.groups.seeds):
                learner = self._learner(i)
                played = [self.programs.evaluate(learner, seeds, self.updates, r) for r in range(repeats)]
                groups.append(joined([to_host(seen_of(episodes)) for episodes in played], 1))
        return joined(groups, 0)

    def _probed(self) -> dict[str, np.ndarray]:
        """What the policies do on the probe set, if there is one."""
        if self.probe is None:
            return {}
        with self.host.timed("eval_seconds"):
            groups = [self.probe.scores(self._learner(i)) for i in range(len(self.states))]
        return told(np.concatenate(groups), self.host.rows)

    def _note_divergence(self, metrics: dict[str, np.ndarray]) -> None:
        diverged = np.concatenate([to_host(state.diverged) for state in self.states])
        seeds = np.concatenate(self.groups.seeds)
        for run in np.flatnonzero((diverged >= 0) & (self.diverged < 0)):
            step = int(diverged[run]) * self.config.steps_per_update
            others = "" if (diverged >= 0).all() else ", the others go on"
            cause = self._cause(int(run), metrics)
            self.host.say(
                f"run {run} (seed {seeds[run]}): loss or parameters were not finite after {step:,} steps{cause}; the run "
                f"stops there and keeps its last good parameters{others}"
            )
        self.diverged = diverged

    def _cause(self, run: int, metrics: dict[str, np.ndarray] | None = None) -> str:
        group, place = divmod(run, self.groups.size)
        state = lambda: jax.tree.map(lambda x: x[place : place + 1], self.states[group])
        return self.causes.of(run, state, metrics)

    def all_diverged(self) -> bool:
        """Whether no run is left."""
        return bool((self.diverged >= 0).all())

    def divergence_message(self) -> str:
        """What went wrong, for an error."""
        first = int(self.diverged.max()) * self.config.steps_per_update
        folder = self.host.folder
        kept = f", whose last good parameters are in {folder.checkpoints}" if folder else ""
        cause = next(filter(None, map(self._cause, range(self.groups.runs))), "")
        return f"loss or parameters of all {self.groups.runs} runs were not finite after at most {first:,} steps{cause}{kept}"

    def save(self) -> None:
        """Write a checkpoint of now, unless that is done."""
        record = {"updates": self.updates, "diverged": self.diverged.tolist()}
        named = {} if self.arms is None else {ARMS: list(self.arms.names)}
        self.host.save(self.updates, self.states, record | named)

    def stop_early(self) -> None:
        """Save what there is, and draw it."""
        self.save()
        self.host.wait()
        self.draw()

    def draw(self) -> None:
        """Draw what has been learned so far."""
        if folder := self.host.writable:
            draw_curves(self.config, folder, self.points)

    def finish(self) -> TrainResult:
        """The final evaluation, the result file and the figure."""
        evaluation = self.config.evaluation
        repeats = -(-evaluation.final_episodes // evaluation.episodes)
        seen = {name: x[:, : evaluation.final_episodes].mean(1) for name, x in self.evaluate(repeats).items()}
        summary = summarise(
            *(self.config, seen, self.diverged, self.host.seconds, self.points, self.drawn),
            scoring_steps=self.config.updates * self.scoring_steps,
        )
        self.host.result(summary)
        self.draw()
        return TrainResult(self.config, folders.plain(summary), self.states, self.host.rows)
