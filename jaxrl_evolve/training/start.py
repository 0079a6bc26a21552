"""Runs that start from weights which another run has trained, or from those of a published model."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_evolve import random
from jaxrl_evolve.runs.chunk import TrainState
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.manifest import named_leaves
from jaxrl_evolve.storage.steps import entries
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, traced
from jaxrl_evolve.training.published import is_published, published_state


class Start(NamedTuple):
    """Trained weights.

    Attributes:
        adopt: of the learner, see `jaxrl_evolve.Learner`.
        learner_state: what has them, NumPy leaves ``[seeds, ...]``, or ``[1, ...]`` for all seeds.
        sha256: checksum (hex) of what is adopted.
    """

    adopt: Any
    learner_state: Any
    sha256: str

    def __call__(self, state: TrainState, seeds: np.ndarray) -> TrainState:
        """A group's state with the weights in it.

        Args:
            state: as it is at the beginning, leaves ``[runs, ...]``.
            seeds: numbers of the runs' seeds, ``[runs]``.
        """
        runs = seeds % jax.tree.leaves(self.learner_state)[0].shape[0]
        adopted = self.adopt(state.learner, jax.tree.map(lambda x: x[runs], self.learner_state))

        def placed(new: Any, old: jax.Array) -> jax.Array:
            if new is old:
                return old
            own = np.array(new)  # the state is donated, and no memory can be twice
            return jax.make_array_from_callback(own.shape, old.sharding, lambda index: own[index])

        return replace(state, learner=jax.tree.map(placed, adopted, state.learner))


def begin(
    config: TrainConfig[Any, Any],
    experiment: Experiment,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> tuple[TrainConfig[Any, Any], Start | None]:
    """The configuration with the checksum of the weights that it names, and these, unless they are needed no more.

    Args:
        config: of the run.
        experiment: what it means.
        out: the run's folder, if it has one.
        resume: whether a run that is there goes on.

    Raises:
        ValueError: there are no such weights, they don't fit, or are not those that the run was started with.
    """
    if not config.start:
        return config, None
    folder = None if out is None or not resume else folders.RunFolder(Path(out))
    if folder is not None and folder.config.is_file():
        there = folders.read_json(folder.config)
        if there.get("start") == config.start:
            config = replace(config, start_sha256=there.get("start_sha256", ""))
        if entries(folder.checkpoints):
            return config, None
    start = _trained(config, experiment)
    if config.start_sha256 not in ("", start.sha256):
        raise ValueError(
            f"start is {config.start!r}, whose weights are no longer those that the run was started with: their "
            f"SHA-256 was {config.start_sha256}"
        )
    return replace(config, start_sha256=start.sha256), start


def _trained(config: TrainConfig[Any, Any], experiment: Experiment) -> Start:
    from jaxrl_evolve.training.restore import load  # which itself knows how runs are trained

    named, adopt = f"start is {config.start!r}", experiment.learner.adopt
    if adopt is None:
        raise ValueError(
            f"{named}, but {config.algorithm} cannot take over weights: its learner has no `adopt`"
        )
    path, run = place(config.start)
    if is_published(path):
        algorithm, state, runs = config.algorithm, published_state(path, config, experiment), 1
    else:
        try:
            there = load(path)
        except ValueError as fault:
            if (
                type(fault) is not ValueError
            ):  # a damaged checkpoint, which has a sentence and an exit code of its own
                raise
            raise ValueError(f"{named}: {fault}") from None
        algorithm, state = there.config.algorithm, jax.tree.map(np.asarray, there.learner_state)
        runs = there.diverged.size
    if run is not None and run >= runs:
        raise ValueError(f"{named}, but {path} has {runs} runs, counted from 0")
    if run is None and runs not in (1, config.seeds):
        raise ValueError(
            f"{named}, which has {runs} runs for {config.seeds} seed{'s' if config.seeds > 1 else ''}: choose one, such as {path}:0, or train {runs}"
        )
    if run is not None:
        state = jax.tree.map(lambda x: x[run : run + 1], state)
    fresh = jax.eval_shape(experiment.learner.init, random.key(0), traced(config.hp))
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state)
    if type(one) is not type(fresh):
        raise ValueError(f"{named}, whose agents are {algorithm}'s: {config.algorithm} has others")
    _check_fit(named, adopt(fresh, one), fresh)
    none = jax.tree.map(lambda x: np.zeros((1, *x.shape), x.dtype), fresh)
    digest = hashlib.sha256()
    for name, leaf in named_leaves(adopt(none, state)).items():
        digest.update(f"{name} {leaf.shape} {leaf.dtype}".encode() + np.ascontiguousarray(leaf).tobytes())
    return Start(adopt, state, digest.hexdigest())


def place(start: str) -> tuple[str, int | None]:
    """A folder and the number of one of its runs, of ``FOLDER`` or ``FOLDER:RUN``; None for all of them."""
    path, colon, run = start.rpartition(":")
    if colon and run.isdecimal() and not Path(start).is_dir():
        return path, int(run)
    return start, None


def _check_fit(named: str, adopted: Any, fresh: Any) -> None:
    """Refuse weights of other shapes, naming the first that is one."""
    there, here = named_leaves(adopted), named_leaves(fresh)
    for name in [*here, *there]:
        if name not in there or name not in here:
            raise ValueError(
                f"{named}, which does not fit: {name} is in {'this' if name in here else 'that'} run only"
            )
        if there[name].shape != here[name].shape or there[name].dtype != here[name].dtype:
            shapes = [f"{x.dtype}{list(x.shape)}" for x in (there[name], here[name])]
            raise ValueError(f"{named}, which does not fit: {name} is {shapes[0]} there and {shapes[1]} here")
