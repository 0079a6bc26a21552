"""Trained agents back from their run folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.registry import changed
from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.objectives.kinds import objective_names
from jaxrl_evolve.runs.policy import Policy, make_policy
from jaxrl_evolve.settings.rows import OF_EVALUATION
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, build, identity, traced
from jaxrl_evolve.training.outcome import along, diverged_steps, estimate_iqm, of_points
from jaxrl_evolve.training.parking import host_device, taken_up, template_of
from jaxrl_evolve.training.programs import group_shapes
from jaxrl_evolve.training.resumption import warn
from jaxrl_evolve.training.train import TRAIN


@jax.jit
def _one_of(state: Any, run: Any) -> Any:
    """Of a state of several runs that of one, in one program."""
    return jax.tree.map(lambda x: x[run], state)


class Trained(NamedTuple):
    """The runs of a folder at one checkpoint.

    Attributes:
        config: how they were trained.
        experiment: the functions that this means.
        learner_state: their learners' states, leaves ``[runs, ...]``.
        updates: updates made.
        diverged: the update at which each run diverged, or -1, ``[runs]``; it kept its last good state.
        folder: where they came from.
    """

    config: TrainConfig[Any, Any]
    experiment: Experiment
    learner_state: Any
    updates: int
    diverged: np.ndarray
    folder: folders.RunFolder

    def __repr__(self) -> str:
        """What it is, without its arrays."""
        config, runs = self.config, self.diverged.size
        return f"<{config.algorithm} on {config.env}, {runs} run{'s' if runs > 1 else ''} after {self.updates:,} updates, of {self.folder.path}>"

    def policy(self, run: int | Literal["best"] = 0, mode: Mode = "greedy") -> Policy:
        """What one run has learned, as a function ``(observation, carry, key) -> (action, carry)``.

        Args:
            run: its number, from 0, or ``"best"``: the one with the highest return in the newest evaluation that was
                made by this checkpoint. The best of many is partly luck.
            mode: ``"greedy"`` or ``"sample"``.

        Raises:
            ValueError: there is no such run or mode, or no evaluation says which run is best.
        """
        key = identity(self.config)
        state = self.state_of(self.number(run))
        return make_policy(self.experiment.env, self.experiment.learner, state, mode, key)

    def state_of(self, run: int) -> Any:
        """The learner's state of one run, by a number that `number` gave."""
        return _one_of(self.learner_state, run)

    def number(self, run: int | Literal["best"]) -> int:
        """A run's number as it is, or what ``"best"`` stands for; see `policy`.

        Raises:
            ValueError: there is no such run, or no evaluation says which is best.
        """
        runs = self.diverged.size
        if run == "best":
            return int(np.nanargmax(self._evaluated()))
        if isinstance(run, bool) or not isinstance(run, int) or not 0 <= run < runs:
            raise ValueError(f"run is {run!r}; {self.folder.path} has {runs}, counted from 0 (or 'best')")
        return run

    def _evaluated(self) -> np.ndarray:
        """Returns of the newest evaluation that there was at this checkpoint, NaN where a run diverged, ``[runs]``."""
        env_steps, found = self.updates * self.config.steps_per_update, [None]
        if self.folder.metrics.is_file():
            for row in sinks.read_jsonl(self.folder.metrics):
                if row[sinks.STEP] <= env_steps and "eval_return" in row:
                    found = row["eval_return"]
        if self.folder.result.is_file():
            final = folders.read_json(self.folder.result)
            if final.get(sinks.STEP) == env_steps:
                found = final["eval_return"]
        returns = np.where(self.diverged >= 0, np.nan, np.array(found, np.float64))
        if not np.isfinite(returns).any():
            raise ValueError(
                f"run is 'best', but {self.folder.path} has no evaluation of a run that did not diverge by "
                f"{env_steps:,} steps; it must be a number below {self.diverged.size}"
            )
        return returns


def load(path: str | os.PathLike[str], step: int | None = None) -> Trained:
    """The agents in a run folder.

    Args:
        path: the run folder.
        step: which checkpoint, by its number of updates; the newest by default.

    Raises:
        ValueError: there is no such folder or checkpoint, it is damaged, or the folder holds another kind of run.
    """
    if os.fspath(path).endswith(".npz") or (not Path(path).exists() and os.fspath(path) in objective_names()):
        raise ValueError(
            f"{path} is an objective, which agents learn by and which does not act: train some with "
            f"`jaxrl-evolve train … --objective {path}`, and give their run folder"
        )
    config, folder = folders.configuration(path, TRAIN), folders.RunFolder(Path(path))
    warn(changed(config.env, config.env_options))
    experiment = build(config, path)
    checkpoints = Checkpoints(folder.checkpoints, {"algorithm": config.algorithm, "env": config.env})
    with checkpoints:
        # Sizes of the groups are the checkpoint's to say: a sweep has more runs than seeds.
        runs = np.size(checkpoints.manifest(step).record["diverged"])
        group = config.group or runs
        one_group = group_shapes(experiment, traced(config.hp), group, identity(config))
        # Of all that is restored, stores of experience among it, the learners alone are worked with.
        place = host_device()
        states, record = checkpoints.restore([template_of(one_group, place)] * (runs // group), step)
    learner_state = jax.tree.map(lambda *x: jnp.concatenate(x), *(state.learner for state in states))
    learner_state = taken_up(learner_state, place)
    diverged = np.asarray(record["diverged"])
    return Trained(config, experiment, learner_state, record["updates"], diverged, folder)


def evaluate_folder(
    path: str | os.PathLike[str],
    episodes: int,
    *,
    mode: Mode = "greedy",
    seed: int = 0,
    step: int | None = None,
    max_steps: int | None = None,
) -> dict[str, Any]:
    """Evaluate the agents of a run folder anew.

    Args:
        path: the run folder.
        episodes: whole episodes per run.
        mode: ``"greedy"`` or ``"sample"``.
        seed: root of the episodes' randomness.
        step: which checkpoint, by its number of updates; the newest by default.
        max_steps: steps after which an episode is cut off; None for the environment's own limit, and 10,000 where it
            has none or a shorter one.

    Returns:
        ``eval_return`` and ``eval_length`` (mean per run; NaN for a run that diverged, which counts as the worst),
        ``diverged`` (the environment steps after which each such run did), ``finished`` (fraction of episodes that
        ended by themselves), ``iqm``, ``ci95``, an ``eval_…`` of what `Env.metrics` names, and what was evaluated.
        Of a run with points ``iqm`` and ``ci95`` are NaN, and ``points`` has them for each, as ``result.json`` does.

    Raises:
        ValueError: there is no such folder or checkpoint, it is damaged, or a size is below one.
    """
    trained = load(path, step)
    experiment = trained.experiment
    key = identity(trained.config)
    test = kept(
        "evaluation",
        key and (key, episodes, max_steps, mode),
        lambda: jax.jit(jax.vmap(experiment.evaluation(episodes, max_steps, mode), (0, 0, None))),
    )
    runs = jax.tree.leaves(trained.learner_state)[0].shape[0]
    root = jax.random.fold_in(random.key(seed), random.KeyTag.EVALUATION)  # or these were training's own keys
    keys = jax.random.split(root, runs)
    outcome = test(keys, trained.learner_state, experiment.env.params)
    lost = trained.diverged >= 0
    of_runs = lambda x: np.where(along(lost, np.asarray(x)[:, 0]), np.nan, np.asarray(x).mean(1))
    returns = of_runs(outcome.returns)
    # Points are no seeds of one run, so nothing is said of all together.
    file = trained.folder.points
    points = folders.read_json(file)["points"] if file.exists() else None
    iqm = estimate_iqm(returns if points is None else returns[:0])
    return {
        "algorithm": trained.config.algorithm,
        "env": trained.config.env,
        "env_steps": trained.updates * trained.config.steps_per_update,
        "mode": mode,
        "episodes": episodes,
        "seed": seed,
        "eval_return": returns,
        "eval_length": of_runs(outcome.lengths),
        "diverged": diverged_steps(trained.config, trained.diverged),
        "finished": float(outcome.finished.mean()),
        **{f"{OF_EVALUATION}{name}": of_runs(x) for name, x in outcome.info.items()},
        "iqm": iqm.value,
        "ci95": [iqm.low, iqm.high],
        **({} if points is None else {"points": of_points(points, returns, trained.config.seeds)}),
    }
