"""A fixed probe set: tasks that a run is evaluated on again and again and never learns from, so that it shows what is forgotten.

An ordinary evaluation draws its tasks anew. Here they are the same at every evaluation and for every seed, and so are the episodes'
random numbers: what differs is the policy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxrl_evolve import random
from jaxrl_evolve.compilation import kept
from jaxrl_evolve.results.allocation import forgotten
from jaxrl_evolve.runs.axes import place
from jaxrl_evolve.runs.evaluation import make_evaluation
from jaxrl_evolve.settings.rows import OF_EVALUATION
from jaxrl_evolve.training.arms import arms_of_run, tasks_of_arms
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, identity
from jaxrl_evolve.training.level_scores import solvable_levels
from jaxrl_evolve.training.programs import AXIS, to_host

ON_PROBE, FORGOTTEN = f"{OF_EVALUATION}on_probe", f"{OF_EVALUATION}forgotten"
"""Names in rows: a score of each task of the probe set, or of each arm, and the mean of what they lie below the highest before."""


class Probe(NamedTuple):
    """A probe set that is ready to be played.

    Attributes:
        play: ``learner states [R, ...] -> Episodes``, leaves ``[R, P]``.
        parts: numbers that are told of it: arms, or tasks.
        success: whether they are shares of successes, else returns.
    """

    play: Callable[[Any], Any]
    parts: int
    success: bool

    def scores(self, learner_states: Any) -> np.ndarray:
        """Float64 ``[R, parts]``."""
        seen = to_host(self.play(learner_states))
        each = np.asarray(seen.info["success"] if self.success else seen.returns, np.float64)
        return each.reshape(len(each), self.parts, -1).mean(-1)


def check_probe(config: TrainConfig[Any, Any], experiment: Experiment) -> None:
    """Refuse a probe set where there is only one task.

    Raises:
        ValueError: saying what could vary.
    """
    count, env = config.evaluation.probe, experiment.tested
    if count and env.sample_params is None and arms_of_run(config, env) is None:
        solvable_levels(env, count, field="evaluation.probe")  # which says so


def probe_of(config: TrainConfig[Any, Any], experiment: Experiment, mesh: Mesh | None) -> Probe | None:
    """The probe set that a configuration asks for: tasks that can be solved, so many, or so many of each arm.

    Args:
        config: the configuration.
        experiment: what it means.
        mesh: devices that the runs are split over, see `compile_programs`.
    """
    settings, env = config.evaluation, experiment.tested
    if not settings.probe:
        return None
    arms, parts = arms_of_run(config, env), settings.probe
    if arms is None:
        levels = solvable_levels(env, settings.probe, 0, random.KeyTag.PROBE, "evaluation.probe")
    else:
        key = jax.random.fold_in(random.key(0), random.KeyTag.PROBE)
        levels, parts = tasks_of_arms(env, arms, settings.probe, key)[0], len(arms.names)
    tasks = jax.tree.leaves(levels)[0].shape[0]
    known: Hashable = identity(config)
    asked = (tasks, settings.max_steps, settings.mode, mesh, jax.default_backend())

    def make() -> Any:
        play = make_evaluation(env, experiment.learner, tasks, settings.max_steps, settings.mode, each=True)
        test = jax.vmap(play, (None, 0, None))
        if mesh is not None:
            along, whole = PartitionSpec(AXIS), PartitionSpec()
            specs = {"in_specs": (whole, along, whole), "out_specs": along}
            test = jax.shard_map(test, mesh=mesh, check_vma=False, **specs)
        return jax.jit(test)

    play = kept("probe", known and (known, *asked), make)
    given = (random.key(0), levels)
    once, shared = given if mesh is None else place(given, mesh)
    return Probe(lambda states: play(once, states, shared), parts, "success" in env.metrics)


def told(scores: np.ndarray, earlier: Sequence[Any]) -> dict[str, np.ndarray]:
    """What a row says of the probe set.

    Args:
        scores: now, ``[runs, parts]``.
        earlier: rows of before.
    """
    before = [np.asarray(row[ON_PROBE], np.float64) for row in earlier if ON_PROBE in row]
    return {ON_PROBE: scores, FORGOTTEN: forgotten([*before, scores]).mean(-1)}
