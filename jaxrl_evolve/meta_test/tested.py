"""One arm in one environment: tuned on validation tasks, then judged on the reported ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.contract import Env
from jaxrl_evolve.meta.lifetimes import EVALUATED
from jaxrl_evolve.meta_test.agents import Agents, Sizes
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.meta_test.lives import Life, LifeInputs, compile_lives, crossed, reshaped
from jaxrl_evolve.meta_test.outcome import Outcome
from jaxrl_evolve.meta_test.tasks import Normaliser, Tasks, draw_tasks
from jaxrl_evolve.meta_test.tuning import Tuning, choose, untuned
from jaxrl_evolve.training.experiment import identity_of
from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.programs import sequential_lanes, to_host


class Stage(NamedTuple):
    """An environment and who learns there.

    Attributes:
        name: as it was asked for.
        env: the environment.
        sizes: of all agents.
        agents: of every arm, in the arms' order.
        normaliser: of returns.
    """

    name: str
    env: Env
    sizes: Sizes
    agents: tuple[Agents, ...]
    normaliser: Normaliser


def test_arm(
    config: MetaTestConfig,
    stage: Stage,
    agents: Agents,
    done: Callable[[int, float | None], None],
    *chosen: Tuning,
) -> Outcome:
    """Tune an arm if it is to be, then let it live the reported tasks at every horizon.

    Args:
        config: how.
        stage: where.
        agents: who.
        done: told the updates made and the mean return, after each call of the compiled program.
        chosen: the arm's hyperparameters, if they were chosen before from the same candidates.
    """
    arm, lengths = agents.arm, config.lengths
    program, lanes = program_of(config, stage, agents)
    spent = {"env_steps": 0, EVALUATED: 0}

    def live(tasks: Tasks, hps: list[Any], horizon: int) -> Life:
        # Accelerators want all candidates side by side; a CPU runs them one by one in the reported lives' program.
        size = 1 if lanes else len(hps)
        lives = []
        for start in range(0, len(hps), size):
            group = hps[start : start + size]
            inputs = crossed(tasks.keys(horizon), tasks.params, group, arm.meta_seeds)
            life = to_host(program(inputs, jnp.int32(horizon)))
            done(horizon * len(life.score), float(np.nanmean(life.score)))
            spent["env_steps"] += horizon * len(life.score) * stage.sizes.steps
            spent[EVALUATED] += int(life.evaluated.sum())
            lives.append(reshaped(life, len(group), arm.meta_seeds))
        return jax.tree.map(lambda *x: np.concatenate(x), *lives)

    candidates = agents.candidates
    tuning = untuned(agents.hp, len(lengths))
    if chosen:
        (tuning,) = chosen
    elif len(candidates) > 1:
        tuning = tuned(config, stage, candidates, live)
    reported = draw_tasks(stage.env, config.seed, config.seeds, "reported")
    # Whoever never learns is the same after any number of updates.
    lived = lengths if arm.learns else lengths[:1] * len(lengths)
    found: dict[int, Life] = {}
    for n, index in zip(lived, tuning.chosen, strict=True):
        if n not in found:
            found[n] = live(reported, [candidates[index]], n)
    life = jax.tree.map(lambda *x: np.stack([y[0] for y in x], axis=2), *(found[n] for n in lived))
    return Outcome(
        life.score, life.average, life.schedules, reported.optimum, np.asarray(lengths), tuning, spent
    )


def program_of(
    config: MetaTestConfig, stage: Stage, agents: Agents
) -> tuple[Callable[[LifeInputs, Array], Life], int]:
    """The compiled program of an arm's lives in an environment, and how many of them live side by side."""
    lanes = config.lanes
    if lanes < 0:
        lanes = sequential_lanes(stage.sizes.steps) if jax.default_backend() == "cpu" else 0
    compiled = compile_lives(
        agents,
        stage.env,
        stage.sizes.rollout_length,
        config.episodes,
        config.max_steps,
        config.bins,
        lanes,
        _identity(config, stage, agents),
    )
    return marked(compiled, ("average", "schedules")), lanes


def _identity(config: MetaTestConfig, stage: Stage, agents: Agents) -> Hashable | None:
    """What decides how an arm's agents live in an environment; None for an objective known by its name alone.

    Parameters of the objective are data, so arms of one kind and settings share a program.
    """
    arm = agents.arm
    if arm.objective is not None and not arm.files:
        return None
    settings = (agents.config, stage.sizes, config.env_options)
    objective = (arm.learns, arm.kind, arm.settings, arm.horizons)
    return identity_of((settings, objective), stage.name, arm.algorithm)


def tuned(
    config: MetaTestConfig, stage: Stage, candidates: list[Any], live: Callable[[Tasks, list[Any], int], Life]
) -> Tuning:
    """The candidates that do best on validation tasks."""
    tasks = draw_tasks(stage.env, config.seed, config.validation_seeds, "validation")
    returns = np.stack([live(tasks, candidates, n).score for n in config.lengths], axis=-1)
    scores = np.stack([stage.normaliser(own, tasks.optimum) for own in returns])
    return choose(candidates, scores, config.tuning.per_horizon)
