"""Training agents: from a configuration to a result, once or in as many sittings as it takes.

What happens between is `Loop`'s. Nothing here is inside a compiled program, so logging, progress, evaluation,
checkpoints and interrupts cost nothing there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds, sinks
from jaxrl_evolve.storage.destinations import check_trackers
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.arms import arms_of_run, check_arms
from jaxrl_evolve.training.callbacks import Callback, check_listeners, told
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import budgeted, build, limited, pinned
from jaxrl_evolve.training.groups import check_points, groups_of
from jaxrl_evolve.training.history import decisive, history_of
from jaxrl_evolve.training.host import open_host
from jaxrl_evolve.training.interrupts import Diverged
from jaxrl_evolve.training.loop import Loop
from jaxrl_evolve.training.memory import check_memory
from jaxrl_evolve.training.notices import warn_of_horizon, warn_of_pixels, warn_of_unread, warn_of_warm_up
from jaxrl_evolve.training.outcome import TrainResult, sentence
from jaxrl_evolve.training.probes import check_probe
from jaxrl_evolve.training.start import begin

_INDIFFERENT = ("sinks", "keep", "rows", "checkpoints", "evaluation", "start_sha256")
_SECONDS = ("compile_seconds", "run_seconds", "eval_seconds")


def train(
    config: TrainConfig[Any, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    step: int | None = None,
    points: Sequence[Any] | None = None,
    callbacks: Sequence[Callback] = (),
    destinations: Sequence[sinks.Sink] = (),
) -> TrainResult:
    """Train every seed of a configuration, side by side.

    Args:
        config: what to train.
        out: run folder to write; None writes nothing.
        resume: continue the run in ``out``.
        overwrite: replace the run in ``out``, which comes back if this one fails before its first row.
        quiet: show no progress.
        step: which checkpoint to resume from, by its number of updates; the newest by default. What the run
            did after it is deleted, and made anew.
        points: hyperparameter objects to run instead of ``config.hp``, each with every seed (a sweep). Runs
            are ordered point by point.
        callbacks: functions ``(row, moment)``, told of each row once it is written; see `Moment`. They can change nothing.
            If one fails, the run ends in order, saved, with its error. Of several processes each tells its own.
        destinations: sinks of one's own, beside those of ``config.sinks``; they are told like callbacks, and closed.

    Raises:
        ValueError: the configuration does not fit, a callback or destination is none, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the state is saved if there is a folder.
        Diverged: no run is left.
    """
    check_listeners(callbacks, destinations)
    config = pinned(config)
    stored = out if resume and out is not None and folders.RunFolder(Path(out)).config.exists() else None
    experiment = build(config, stored)
    config = limited(budgeted(config, experiment), experiment)
    config, start = begin(config, experiment, out, resume)
    warn_of_horizon(config)
    warn_of_unread(config)
    warn_of_warm_up(config)
    warn_of_pixels(config, experiment.env.observation_space)
    groups = groups_of(config, points)
    check_memory(config, experiment, groups)
    check_probe(config, experiment)
    if out is not None and not resume:
        check_trackers(config.sinks)
    with contextlib.ExitStack() as stack:
        for sink in destinations:
            stack.callback(sink.close)
        host = open_host(
            stack,
            out,
            TRAIN,
            data := folders.plain(config),
            decisive=decisive(data, history_of(out) if resume else [], step),
            identity={"algorithm": config.algorithm, "env": config.env},
            indifferent=_INDIFFERENT,
            keep=config.keep,
            seconds=_SECONDS,
            resume=resume,
            overwrite=overwrite,
            end=None if step is not None else lambda made: made["env_steps"] // config.steps_per_update,
        )
        check_points(host, points)
        check_arms(host, arms_of_run(config, experiment.env), step)
        loop = Loop(config, points, groups, host, start)
        if resume and step is None and (finished := loop.finished(experiment)):
            return finished
        loop.prepare(experiment, step)
        title, start = f"{config.algorithm} on {config.env}", loop.updates * config.steps_per_update
        host.show(stack, title, config.env_steps, "steps", done=start, seeds=groups.runs, quiet=quiet)
        for stop in [stop for stop in loop.stops if stop.updates > loop.updates]:
            if loop.all_diverged():  # which a resumed run may be from the start
                break
            loop.advance(stop)
            loop.tell(told(callbacks, destinations))
            signal = host.signal()
            if signal and stop.updates < config.updates and not loop.all_diverged():
                loop.stop_early()
                raise host.interrupted(signal)
        if loop.all_diverged():
            loop.stop_early()
            raise Diverged(loop.divergence_message() + "; no run is left")
        return loop.finish()


def _resume(out: str, step: int | None, quiet: bool) -> str:
    result = train(folders.configuration(out, TRAIN), out, resume=True, quiet=quiet, step=step)
    return sentence(result.summary, out)


TRAIN = Kind(
    name="train",
    mark=kinds.RUN,
    read=TrainConfig.from_json,
    resume=_resume,
    files=(*kinds.METRICS_FILES, *kinds.LEVEL_FILES, "points.json"),
    folders=kinds.STATE_FOLDERS,
    shared=True,
)
"""A training run."""
