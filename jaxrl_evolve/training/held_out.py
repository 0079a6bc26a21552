"""Agents of a run folder on many levels: success on each, on the worst of them, and on named environments and arms apart."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_envs.contract import Arms, Env
from jaxrl_envs.parameters import limits
from jaxrl_envs.registry import available
from jaxrl_evolve import random
from jaxrl_evolve.curricula.arms.arms import arms_of
from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.results.pass_at_k import pass_at_k
from jaxrl_evolve.results.worst_levels import cvar, worst_levels
from jaxrl_evolve.runs.evaluation import check_mode
from jaxrl_evolve.settings.checks import root_seed
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.training.arms import (
    allocation,
    arms_of_run,
    available_of_run,
    tasks_of_arms,
    thresholds_of_run,
)
from jaxrl_evolve.training.experiment import identity
from jaxrl_evolve.training.held_out_config import HeldOut
from jaxrl_evolve.training.level_scores import OnLevels, scores_on_levels, solvable_levels
from jaxrl_evolve.training.outcome import diverged_steps, estimate_iqm
from jaxrl_evolve.training.parts import check_context, make_env
from jaxrl_evolve.training.restore import Trained, load


def evaluate_levels(
    path: str | os.PathLike[str],
    held_out: HeldOut | None = None,
    *,
    mode: Mode = "sample",
    seed: int = 0,
    step: int | None = None,
    max_steps: int | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Test the agents of a run folder level by level.

    Args:
        path: the run folder.
        held_out: what they are tested on.
        mode: ``"greedy"`` or ``"sample"``.
        seed: root of the episodes' randomness.
        step: which checkpoint, by its number of updates; the newest by default.
        max_steps: steps after which an episode is cut off; None for the environment's own limit.

    Returns:
        What was found, and a row for each run and level.

        ``score`` says whether scores are shares of episodes that succeeded or returns. ``all`` is over all levels, and ``cvar``
        has for each share the mean over the worst ``levels`` of each run, chosen by one sample of episodes and judged by
        another; ``biased`` is judged by the same. ``length`` is of the episodes, in steps, ``metrics`` what else the environment tells of them. ``pass_at`` has the probability that one of so many tries on a level succeeds. ``held_out`` has a summary of each named environment,
        ``arms`` one of each arm,
        with the share of its tasks that are ``solvable`` and, if the run's curriculum drew these arms, what its metrics say of
        them (`arms.allocation`). ``runs`` are scores of single runs, ``iqm`` and ``ci95`` over them; of a run with points these are
        NaN.

    Raises:
        ValueError: there is no such folder or checkpoint, it is damaged, nothing can be solved, or another environment shows or
            takes other things than the one that the agents were trained on.
    """
    held_out = held_out or HeldOut()
    check_mode(mode)
    root_seed("seed", seed)
    trained = load(path, step)
    test = _Test(trained, mode, seed, max_steps)
    env, config = trained.experiment.tested, trained.config
    if held_out.pass_at and "success" not in env.metrics:
        raise ValueError(
            f"pass_at is {tuple(held_out.pass_at)}, but {env.name} does not tell of success (its metrics are {env.metrics})"
        )
    others = _others(env, held_out)  # refused before anything is played
    arms = _arms(trained, held_out)
    _check_contexts(config.learner, env, others, arms)
    outcome: dict[str, Any] = {
        "algorithm": config.algorithm,
        "env": config.env,
        "env_steps": trained.updates * config.steps_per_update,
        "mode": mode,
        "seed": seed,
        "level_seed": held_out.level_seed,
        "diverged": diverged_steps(config, trained.diverged),
    }
    rows: list[dict[str, Any]] = []
    if held_out.levels:
        levels = solvable_levels(env, held_out.levels, held_out.level_seed)
        seen = test.scores(env, levels, held_out.episodes)
        outcome |= {
            "levels": held_out.levels,
            "episodes": 2 * held_out.episodes,  # on each level, of both samples
            **_summary(test, env, seen),
            "cvar": [_worst(test, seen, share) for share in held_out.shares],
            **_tries(test, seen, held_out),
        }
        rows += _rows(config.env, seen)
    tables = [(other, _on_other(test, other, held_out)) for other in others]
    if tables:
        options = dict(held_out.env_options)
        outcome["held_out"] = [
            {"env": other.name, "env_options": options, **_summary(test, other, seen)}
            for other, seen in tables
        ]
        rows += [row for other, seen in tables for row in _rows(other.name, seen)]
    if arms is not None:
        outcome["arms"], more = _on_arms(test, env, arms, held_out)
        rows += more
    return outcome, rows


class _Test(NamedTuple):
    """Which agents are tested, and how."""

    trained: Trained
    mode: Mode
    seed: int
    max_steps: int | None

    def scores(self, env: Env, levels: Any, episodes: int, threshold: np.ndarray | None = None) -> OnLevels:
        trained = self.trained
        return scores_on_levels(
            env,
            trained.experiment.learner,
            trained.learner_state,
            levels,
            random.key(self.seed),
            episodes,
            self.mode,
            self.max_steps,
            trained.diverged >= 0,
            identity(trained.config),
            threshold,
        )

    def told(self, scores: np.ndarray) -> dict[str, Any]:
        """Scores ``[R]`` with their interquartile mean; points of a sweep are no seeds of one run, so of all together none."""
        alone = not self.trained.folder.points.exists()
        iqm = estimate_iqm(scores if alone else scores[:0])
        return {"runs": scores, "iqm": iqm.value, "ci95": [iqm.low, iqm.high]}


def _summary(test: _Test, env: Env, seen: OnLevels) -> dict[str, Any]:
    # Whichever comes first, since the figures of different limits cannot be compared.
    limit = [int(np.max(leaf)) for _, leaf in limits(env.params)]
    limit += [] if test.max_steps is None else [test.max_steps]
    return {
        "score": "success" if "success" in env.metrics else "return",
        **({"max_steps": min(limit)} if limit else {}),
        **({} if env.solvable is None else {"solvable": True}),
        "all": test.told((seen.first + seen.second).mean(1) / 2),
        **_episodes(test, seen),
    }


def _episodes(test: _Test, seen: OnLevels) -> dict[str, Any]:
    """How long they were, and what the environment tells of them."""
    metrics = {name: test.told(each.mean(1)) for name, each in seen.metrics.items()}
    return {"length": test.told(seen.lengths.mean(1)), **({"metrics": metrics} if metrics else {})}


def _worst(test: _Test, seen: OnLevels, share: float) -> dict[str, Any]:
    return {
        "share": share,
        "levels": worst_levels(seen.first, share).shape[1],
        **test.told(cvar(seen.first, seen.second, share)),
        "biased": cvar(seen.first, seen.first, share),
    }


def _tries(test: _Test, seen: OnLevels, held_out: HeldOut) -> dict[str, Any]:
    """How often one of so many tries succeeds."""
    if not held_out.pass_at:
        return {}
    # Shares of whole numbers in float32, of each sample.
    successes = np.rint((seen.first + seen.second) * held_out.episodes)
    tries = 2 * held_out.episodes
    found = {k: pass_at_k(successes, tries, k).mean(1) for k in held_out.pass_at}
    return {"pass_at": [{"k": k, **test.told(scores)} for k, scores in found.items()]}


def _rows(name: str, seen: OnLevels) -> list[dict[str, Any]]:
    runs, levels = seen.first.shape
    return [
        {
            "env": name,
            "level": level,
            "run": run,
            "first": seen.first[run, level],
            "second": seen.second[run, level],
            "length": seen.lengths[run, level],
            "best_return": seen.best[level],
        }
        for level in range(levels)
        for run in range(runs)
    ]


def _others(env: Env, held_out: HeldOut) -> list[Env]:
    """The other environments.

    Raises:
        ValueError: none is called so, or one shows or takes other things than ``env``.
    """
    names: list[str] = []
    for pattern in held_out.envs:
        found = fnmatch.filter(available(), pattern) if set(pattern) & set("*?[") else [pattern]
        if not found:
            raise ValueError(f"held_out is {pattern!r}, and no environment's name is like that")
        names += found
    others = [make_env(name, held_out.env_options) for name in dict.fromkeys(names)]
    for other in others:
        for field in ("observation_space", "action_space"):
            own, theirs = getattr(env, field), getattr(other, field)
            if own != theirs:
                raise ValueError(
                    f"held_out: {other.name} has the {field} {theirs}, but agents of {env.name} were trained with {own}; "
                    "options of the environment may make them equal"
                )
    return others


def _check_contexts(settings: Any, env: Env, others: Sequence[Env], arms: Arms | None) -> None:
    """Refuse tests whose episodes are longer than a decoder's context, as training does."""
    for other in others:
        check_context(settings, other, None)
    if arms is not None:
        check_context(settings, env, arms)


def _on_other(test: _Test, env: Env, held_out: HeldOut) -> OnLevels:
    """An environment's one task with all episodes, half in each sample, or as many levels with one episode in each."""
    half = -(-held_out.env_episodes // 2)
    if env.sample_params is None:
        return test.scores(env, jax.tree.map(lambda x: x[None], env.params), half)
    return test.scores(env, solvable_levels(env, half, held_out.level_seed), 1)


def _arms(trained: Trained, held_out: HeldOut) -> Arms | None:
    """The arms to test on, if any.

    Raises:
        ValueError: the text makes none, or there is none and neither the run nor the environment has arms.
    """
    if not held_out.arm_levels:
        return None
    env = trained.experiment.tested
    if held_out.arms:
        return arms_of(env, held_out.arms)
    return arms_of_run(trained.config, env) or arms_of(env)


def _on_arms(
    test: _Test, env: Env, arms: Arms, held_out: HeldOut
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A summary of each arm, and rows of its tasks."""
    trained, count = test.trained, held_out.arm_levels
    key = jax.random.fold_in(random.key(held_out.level_seed), random.KeyTag.TEST_LEVELS)
    levels, solvable = tasks_of_arms(env, arms, count, key)
    own = arms_of_run(trained.config, env)
    drawn = own is not None and own.names == arms.names
    threshold = thresholds_of_run(trained.config, len(arms.names)) if drawn else None
    seen = test.scores(
        env, levels, held_out.episodes, None if threshold is None else np.repeat(threshold, count)
    )
    facts: list[dict[str, Any]] = []
    if drawn:
        facts = allocation(_metrics(trained), arms.names, available_of_run(trained.config, len(arms.names)))
    summaries, rows = [], []
    for i, name in enumerate(arms.names):
        part = jax.tree.map(lambda x, i=i: x[..., i * count : (i + 1) * count], seen)
        summaries.append(
            {
                "arm": name,
                "score": "return" if threshold is None and "success" not in env.metrics else "success",
                **({} if env.solvable is None else {"solvable": float(solvable[i].mean())}),
                **test.told((part.first + part.second).mean(1) / 2),
                **_episodes(test, part),
                **_tries(test, part, held_out),
                **(facts[i] if facts else {}),
            }
        )
        rows += _rows(f"{env.name}: {name}", part)
    return summaries, rows


def _metrics(trained: Trained) -> list[dict[str, Any]]:
    """Rows up to the checkpoint."""
    path, until = trained.folder.metrics, trained.updates * trained.config.steps_per_update
    return [row for row in sinks.read_jsonl(path) if row[sinks.STEP] <= until] if path.is_file() else []
