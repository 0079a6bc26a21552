"""Runs side by side on levels that all of them share."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import PartitionSpec

from jaxrl_envs.contract import Env
from jaxrl_evolve import random
from jaxrl_evolve.compilation import Same, kept
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.runs.levels import LevelEpisodes, draw_solvable, make_level_evaluation
from jaxrl_evolve.training.outcome import along

SLOTS = {"cpu": 256}
"""Episodes side by side by backend; elsewhere `_MANY`."""
_MANY = 4_096


class OnLevels(NamedTuple):
    """Scores of ``R`` runs on ``L`` levels: shares of episodes that succeeded where somebody tells what a success is, else returns.

    Attributes:
        first, second: means over the episodes of each sample, float64 ``[R, L]``; NaN where a run diverged.
        lengths: means over all episodes, float64 ``[R, L]``.
        best: the highest return that a level allows, float64 ``[L]``; NaN where that is not known.
        metrics: means over all episodes of the other numbers that `Env.metrics` names, float64 ``[R, L]`` each.
    """

    first: np.ndarray
    second: np.ndarray
    lengths: np.ndarray
    best: np.ndarray
    metrics: dict[str, np.ndarray]


def solvable_levels(
    env: Env,
    count: int,
    seed: int = 0,
    tag: random.KeyTag = random.KeyTag.TEST_LEVELS,
    field: str = "levels",
) -> Any:
    """Solvable levels of an environment from a fixed key, leaves ``[count, ...]``; the first of many are the same as of few.

    Args:
        env: the environment.
        count: how many.
        seed: root of their randomness.
        tag: what they are for, apart from others of the same root.
        field: the setting that asks for so many, for messages.

    Raises:
        ValueError: the environment draws no levels, or too few that can be solved.
    """
    if env.sample_params is None:
        paths = jax.tree_util.tree_leaves_with_path(env.params)
        fields = ", ".join(jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths)
        raise ValueError(
            f"{field} is {count}, but {env.name} is one task and draws no levels (`sample_params`); it must be 0. Parameters that "
            f"levels could vary, by the wrapper vary_params: {fields or 'none'}"
        )
    key = jax.random.fold_in(random.key(seed), tag)
    draw = kept(
        "test levels", (Same(env), count), lambda: jax.jit(lambda key: draw_solvable(env, key, count))
    )
    levels, found = draw(key)
    if not found.all():
        many = "none" if not found.any() else f"only {int(found.sum())}"
        raise ValueError(f"{field} is {count}, but {many} of the levels that {env.name} draws can be solved")
    return levels


def scores_on_levels(
    env: Env,
    learner: Learner,
    learner_states: Any,
    levels: Any,
    key: jax.Array,
    episodes: int = 10,
    mode: Mode = "sample",
    max_steps: int | None = None,
    diverged: np.ndarray | None = None,
    identity: Any = None,
    threshold: np.ndarray | None = None,
) -> OnLevels:
    """All runs on all levels, twice.

    Args:
        env: the environment, whose ``params`` the levels replace.
        learner: that acts.
        learner_states: leaves ``[R, ...]``.
        levels: leaves ``[L, ...]``.
        key: randomness of the episodes.
        episodes: on each level in each of two samples.
        mode: ``"greedy"`` or ``"sample"``.
        max_steps: steps after which an episode is cut off; None for as many as the levels allow.
        diverged: bool ``[R]``, whose scores are NaN.
        identity: of the learner, by which the program is kept; None compiles anew.
        threshold: returns from which on an episode is a success, ``[L]``; what the environment says by default.
    """
    runs, levels_in = (jax.tree.leaves(tree)[0].shape[0] for tree in (learner_states, levels))
    play = _program(env, learner, runs, episodes, mode, max_steps, identity)
    samples = [
        play(jax.random.split(jax.random.fold_in(key, i), runs), learner_states, levels) for i in range(2)
    ]
    lost = np.zeros(runs, bool) if diverged is None else diverged
    told = lambda x: np.where(along(lost, np.asarray(x)[:, :, 0]), np.nan, np.asarray(x, np.float64).mean(2))
    first, second = (told(_score(env, sample, threshold)) for sample in samples)
    both = lambda of: (told(of(samples[0])) + told(of(samples[1]))) / 2
    one = {name for name, x in samples[0].info.items() if x.ndim == 3 and name != "success"}
    metrics = {name: both(lambda sample, name=name: sample.info[name]) for name in env.metrics if name in one}
    best = np.full(levels_in, np.nan)
    if env.optimal_return is not None:
        best = np.asarray(jax.jit(jax.vmap(env.optimal_return))(levels), np.float64)
    return OnLevels(first, second, both(lambda sample: sample.lengths), best, metrics)


def _score(env: Env, played: LevelEpisodes, threshold: np.ndarray | None) -> Any:
    if threshold is not None:
        return np.asarray(played.returns) >= threshold[:, None]
    return played.info["success"] if "success" in env.metrics else played.returns


def _program(
    env: Env,
    learner: Learner,
    runs: int,
    episodes: int,
    mode: Mode,
    max_steps: int | None,
    identity: Any,
) -> Any:
    """Jitted ``(keys [R], learner states [R, ...], levels) -> LevelEpisodes``, leaves ``[R, L, E, ...]``.

    Runs follow one after the other, on as many devices as divide their number: the slots of one fill a device.
    """
    slots = SLOTS.get(jax.default_backend(), _MANY)
    mesh = mesh_for("run", runs)

    def make() -> Any:
        one = make_level_evaluation(env, learner, episodes, max_steps, mode, slots)
        every = lambda keys, states, levels: jax.lax.map(lambda x: one(x[0], x[1], levels), (keys, states))
        if mesh is not None:
            along_runs = PartitionSpec("run")
            specs = {"in_specs": (along_runs, along_runs, PartitionSpec()), "out_specs": along_runs}
            every = jax.shard_map(every, mesh=mesh, check_vma=False, **specs)
        return jax.jit(every)

    played = (Same(env.reset), Same(env.step), env.metrics, episodes, mode, max_steps, slots, mesh)
    return kept("levels", identity and (identity, *played), make)
