"""Trained agents back from their run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, build, identity, traced
from jaxrl_evolve.training.outcome import diverged_steps, estimate_iqm
from jaxrl_evolve.training.programs import group_shapes
from jaxrl_evolve.training.train import TRAIN


class Trained(NamedTuple):
    """The runs of a folder at one checkpoint.

    Attributes:
        config: how they were trained.
        experiment: the functions that this means.
        learner_state: their learners' states, leaves ``[runs, ...]``.
        updates: updates made.
        diverged: the update at which each run diverged, or -1, ``[runs]``; it kept its last good state.
    """

    config: TrainConfig[Any, Any]
    experiment: Experiment
    learner_state: Any
    updates: int
    diverged: np.ndarray


def load(path: str | os.PathLike[str], step: int | None = None) -> Trained:
    """The agents in a run folder.

    Args:
        path: the run folder.
        step: which checkpoint, by its number of updates; the newest by default.

    Raises:
        ValueError: there is no such folder or checkpoint, it is damaged, or the folder holds another kind of run.
    """
    config, folder = folders.configuration(path, TRAIN), folders.RunFolder(Path(path))
    experiment = build(config)
    checkpoints = Checkpoints(folder.checkpoints, {"algorithm": config.algorithm, "env": config.env})
    with checkpoints:
        # Sizes of the groups are the checkpoint's to say: a sweep has more runs than seeds.
        runs = np.size(checkpoints.manifest(step).record["diverged"])
        group = config.group or runs
        one_group = group_shapes(experiment, traced(config.hp), group, identity(config))
        states, record = checkpoints.restore([one_group] * (runs // group), step)
    learner_state = jax.tree.map(lambda *x: jnp.concatenate(x), *(state.learner for state in states))
    return Trained(config, experiment, learner_state, record["updates"], np.asarray(record["diverged"]))


def evaluate_folder(
    path: str | os.PathLike[str],
    episodes: int,
    *,
    mode: Mode = "greedy",
    seed: int = 0,
    step: int | None = None,
    max_steps: int = 10_000,
) -> dict[str, Any]:
    """Evaluate the agents of a run folder anew.

    Args:
        path: the run folder.
        episodes: whole episodes per run.
        mode: ``"greedy"`` or ``"sample"``.
        seed: root of the episodes' randomness.
        step: which checkpoint, by its number of updates; the newest by default.
        max_steps: steps after which an episode is cut off.

    Returns:
        ``eval_return`` and ``eval_length`` (mean per run; NaN for a run that diverged, which counts as the worst),
        ``diverged`` (the environment steps after which each such run did), ``finished`` (fraction of episodes that
        ended by themselves), ``iqm``, ``ci95``, and what was evaluated.

    Raises:
        ValueError: there is no such folder or checkpoint, it is damaged, or a size is below one.
    """
    trained = load(path, step)
    experiment = trained.experiment
    key = identity(trained.config)
    test = kept(
        key and ("evaluation", key, episodes, max_steps, mode),
        lambda: jax.jit(jax.vmap(experiment.evaluation(episodes, max_steps, mode), (0, 0, None))),
    )
    runs = jax.tree.leaves(trained.learner_state)[0].shape[0]
    keys = jax.random.split(random.key(seed), runs)
    outcome = test(keys, trained.learner_state, experiment.env.params)
    lost = trained.diverged >= 0
    returns = np.where(lost, np.nan, outcome.returns.mean(-1))
    iqm = estimate_iqm(returns)
    return {
        "algorithm": trained.config.algorithm,
        "env": trained.config.env,
        "env_steps": trained.updates * trained.config.steps_per_update,
        "mode": mode,
        "episodes": episodes,
        "seed": seed,
        "eval_return": returns,
        "eval_length": np.where(lost, np.nan, outcome.lengths.mean(-1)),
        "diverged": diverged_steps(trained.config, trained.diverged),
        "finished": float(outcome.finished.mean()),
        "iqm": iqm.value,
        "ci95": [iqm.low, iqm.high],
    }
