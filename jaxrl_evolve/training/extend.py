"""More steps for a finished run."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax

from jaxrl_evolve.settings.checks import whole
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.checkpoint import barrier
from jaxrl_evolve.storage.claim import Lock
from jaxrl_evolve.storage.configurations import HISTORY
from jaxrl_evolve.storage.steps import entries
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import build
from jaxrl_evolve.training.history import has_result, history_of
from jaxrl_evolve.training.outcome import TrainResult
from jaxrl_evolve.training.train import TRAIN, train


def lengthen(
    path: str | os.PathLike[str], config: TrainConfig[Any, Any], steps: int
) -> TrainConfig[Any, Any]:
    """The configuration of a finished run with more steps, once its folder says so.

    What it was trained for until now is added to the history in ``config.json``. A run that was asked for as many
    before, and has not come to its end, is left as it is. Of several processes all call this, and the first writes.

    Args:
        path: the run folder.
        config: that it holds.
        steps: environment steps per seed, those made until now included.

    Raises:
        ValueError: the run is not finished, has as many steps already, is a part of a sweep, or is made of something that is not known here.
    """
    steps = whole("steps", steps, 1)
    folder, longer = folders.RunFolder(Path(path)), dataclasses.replace(config, steps=steps)
    history = history_of(path)
    if history and steps == config.steps:
        return config
    if folder.points.exists():
        raise ValueError(
            f"steps is {steps:,}, but {folder.path} is a part of a sweep, whose points stay alike"
        )
    if longer.updates <= config.updates:
        raise ValueError(
            f"steps is {steps:,}; the run in {folder.path} is one of {config.env_steps:,}, so it must be more"
        )
    made = [step for step, _ in entries(folder.checkpoints)]
    if not has_result(folder, config.env_steps) or max(made, default=0) != config.updates:
        raise ValueError(
            f"steps is {steps:,}, but the run in {folder.path} has not come to its end yet, after "
            f"{config.env_steps:,}: first continue it with: jaxrl-evolve resume {folder.path}"
        )
    build(longer, path)  # what cannot go on leaves the folder as it is
    barrier("history read")  # all processes have come here by what was there before
    if jax.process_index() == 0:
        with Lock(folder):
            until = {"steps": config.steps, "env_steps": config.env_steps, "updates": config.updates}
            data = longer.to_json()
            folders.write_json(folder.config, {**data, HISTORY: [*history, until]})
    barrier("history written")  # by which checkpoints are known
    return longer


def extend(out: str | os.PathLike[str], steps: int, *, quiet: bool = True) -> TrainResult:
    """Give a finished run more steps: it goes on from where it is, by a horizon that is longer from now on.

    That is another run than one of as many steps from the beginning: what follows the horizon (schedules, learned objectives
    that know the time) came to its end once, and goes on from where the longer horizon has it.

    Args:
        out: the run folder; its ``config.json`` tells the history.
        steps: environment steps per seed, those made until now included.
        quiet: show no progress.

    Raises:
        ValueError: the run is not finished, has as many steps already, or is a part of a sweep; or as `train`.
        Interrupted, Diverged: as in `train`.
    """
    config = lengthen(out, folders.configuration(out, TRAIN), steps)
    return train(config, out, resume=True, quiet=quiet)
