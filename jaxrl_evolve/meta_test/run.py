"""A meta-test from the host: arm after arm, each saved, then the tables and figures of all."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Env
from jaxrl_evolve.meta_test import drawing, tables
from jaxrl_evolve.meta_test.agents import Agents, Sizes, build_agents, choose_sizes, parse_overrides
from jaxrl_evolve.meta_test.arms import Arm, find_arms
from jaxrl_evolve.meta_test.comparison import Comparison, compare
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.meta_test.lives import Life, compile_lives, crossed, reshaped
from jaxrl_evolve.meta_test.outcome import Outcome, load, result_path, save
from jaxrl_evolve.meta_test.tasks import Normaliser, Tasks, draw_tasks
from jaxrl_evolve.meta_test.tuning import Tuning, choose, untuned
from jaxrl_evolve.objectives import HorizonWarning
from jaxrl_evolve.runs.evaluation import warn_of_cut
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.configurations import FILES
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.experiment import identity_of
from jaxrl_evolve.training.host import Host, open_host
from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.parts import literal, make_env
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


@dataclasses.dataclass(frozen=True)
class MetaTestResult:
    """What a meta-test came to.

    Attributes:
        config: what was asked for.
        outcomes: raw results by environment and arm's label.
        comparison: statistics of them.
        markdown: the table.
    """

    config: MetaTestConfig
    outcomes: dict[tuple[str, str], Outcome]
    comparison: Comparison
    markdown: str


def meta_test(
    config: MetaTestConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
) -> MetaTestResult:
    """Let every arm learn on the same tasks, and compare.

    Args:
        config: what to test.
        out: folder to write; None writes nothing.
        resume: keep the results that are in ``out``, and make the others.
        overwrite: delete what an earlier meta-test left in ``out`` first.
        quiet: show no progress.

    Raises:
        ValueError: the configuration does not fit, or the folder can't be used; before anything compiles.
        Interrupted: SIGINT or SIGTERM came; the results of finished arms are saved if there is a folder.
    """
    arms = find_arms(config)
    stages = build_stages(config, arms)
    warn_of_horizons(config, arms, stages)
    outcomes: dict[tuple[str, str], Outcome] = {}
    with contextlib.ExitStack() as stack:
        recorded = folders.plain(config) | {FILES: {arm.label: list(arm.files) for arm in arms}}
        host = open_host(stack, out, META_TEST, recorded, resume=resume, overwrite=overwrite)
        title = f"meta-test of {len(arms)} arms in {', '.join(config.envs)}"
        total = sum(_updates(config, agents) for stage in stages for agents in stage.agents)
        host.show(stack, title, total, "updates", quiet=quiet)
        for stage in stages:
            for agents in stage.agents:
                outcomes[stage.name, agents.arm.label] = _outcome(config, stage, agents, host)
    sizes = {stage.name: stage.sizes for stage in stages}
    comparison = compare(
        config,
        arms,
        {stage.name: stage.normaliser for stage in stages},
        outcomes,
        lambda arm, env, horizon: beyond(arm, horizon, sizes[env]),
    )
    markdown = tables.markdown(config, comparison, outcomes)
    if folder := host.writable:
        _write(folder, config, arms, outcomes, comparison, markdown)
    return MetaTestResult(config, outcomes, comparison, markdown)


def _outcome(config: MetaTestConfig, stage: Stage, agents: Agents, host: Host) -> Outcome:
    """An arm's outcome in an environment: the one that is in the folder, or a new one, which is saved there."""

    def made(updates: int, measure: float | None = None) -> None:
        host.advanced(host.done + updates, measure)
        if signal := host.signal():
            raise host.interrupted(signal, "in the middle of a meta-test")

    path = host.folder and result_path(host.folder.path, stage.name, agents.arm.label)
    if path is not None and path.exists():
        outcome = load(path)
        made(_updates(config, agents))
        return outcome
    outcome = test_arm(config, stage, agents, made)
    if path is not None and host.writable:
        save(path, outcome)
    return outcome


def _write(
    folder: folders.RunFolder,
    config: MetaTestConfig,
    arms: tuple[Arm, ...],
    outcomes: dict[tuple[str, str], Outcome],
    comparison: Comparison,
    markdown: str,
) -> None:
    """Tables and figures."""
    path = folder.path
    folders.write_text(path / "meta_test.csv", tables.scores_csv(comparison.rows))
    folders.write_text(path / "improvement.csv", tables.improvements_csv(comparison.improvements))
    folders.write_text(path / "tuning.csv", tables.tuning_csv(outcomes))
    folders.write_text(path / "meta_test.md", markdown)
    folders.write_json(folder.result, provenance())
    drawing.draw_scores(path / "meta_test.png", comparison)
    for i, env in enumerate(config.envs):
        name = "schedules.png" if i == 0 else f"schedules_{i}.png"
        drawing.draw_schedules(path / name, arms, env, outcomes)
    drawing.draw_drifts(path / "drift.png", arms)


def build_stages(config: MetaTestConfig, arms: tuple[Arm, ...]) -> tuple[Stage, ...]:
    """Look everything up and check that it fits together; compiles nothing.

    Raises:
        ValueError: a name is not known, or an arm cannot learn in an environment.
    """
    overrides = parse_overrides(config.agents)
    options = {name: literal(text) for name, text in config.env_options.items()}
    stages = []
    for name in config.envs:
        env = make_env(name, config.env_options)
        warn_of_cut("max_steps", config.max_steps, env)
        sizes = choose_sizes(config, arms, name)
        agents = tuple(build_agents(config, arm, env, sizes, overrides) for arm in arms)
        stages.append(Stage(name, env, sizes, agents, Normaliser(config.normaliser, name, options)))
    return tuple(stages)


def beyond(arm: Arm, horizon: int, sizes: Sizes) -> bool:
    """Whether an arm's objective was not trained at this horizon (in updates)."""
    if arm.horizons is None:
        return False
    units = horizon * (sizes.num_envs * sizes.rollout_length if arm.horizons.unit == "env_steps" else 1)
    return units not in arm.horizons


def warn_of_horizons(config: MetaTestConfig, arms: tuple[Arm, ...], stages: tuple[Stage, ...]) -> None:
    """Warn (`HorizonWarning`) of horizons that an objective was not trained at."""
    for arm in arms:
        outside = {n for stage in stages for n in config.lengths if beyond(arm, n, stage.sizes)}
        if outside and not arm.parent:
            warnings.warn(
                f"objective {arm.label!r} was trained at horizons of {arm.horizons}, but is tested at others too "
                f"({', '.join(f'{n:,}' for n in sorted(outside))} updates): what it reads of the horizon's length is clamped to that range",
                HorizonWarning,
                stacklevel=3,
            )


def test_arm(
    config: MetaTestConfig, stage: Stage, agents: Agents, done: Callable[[int, float | None], None]
) -> Outcome:
    """Tune an arm if it is to be, then let it live the reported tasks at every horizon.

    Args:
        config: how.
        stage: where.
        agents: who.
        done: told the updates made and the mean return, after each call of the compiled program.
    """
    arm, lengths = agents.arm, config.lengths
    lanes = config.lanes
    steps = stage.sizes.num_envs * stage.sizes.rollout_length
    if lanes < 0:
        lanes = sequential_lanes(steps) if jax.default_backend() == "cpu" else 0
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
    program = marked(compiled, ("average", "schedules"))

    def live(tasks: Tasks, hps: list[Any], horizon: int) -> Life:
        # Accelerators want all candidates side by side; a CPU runs them one by one in the reported lives' program.
        size = 1 if lanes else len(hps)
        lives = []
        for start in range(0, len(hps), size):
            group = hps[start : start + size]
            inputs = crossed(tasks.keys(horizon), tasks.params, group, arm.meta_seeds)
            life = to_host(program(inputs, jnp.int32(horizon)))
            done(horizon * len(life.score), float(np.nanmean(life.score)))
            lives.append(reshaped(life, len(group), arm.meta_seeds))
        return jax.tree.map(lambda *x: np.concatenate(x), *lives)

    candidates = agents.candidates
    tuning = untuned(agents.hp, len(lengths))
    if len(candidates) > 1:
        tuning = _tuned(config, stage, candidates, live)
    reported = draw_tasks(stage.env, config.seed, config.seeds, "reported")
    # Whoever never learns is the same after any number of updates.
    lived = lengths if arm.learns else lengths[:1] * len(lengths)
    found: dict[int, Life] = {}
    for n, index in zip(lived, tuning.chosen, strict=True):
        if n not in found:
            found[n] = live(reported, [candidates[index]], n)
    life = jax.tree.map(lambda *x: np.stack([y[0] for y in x], axis=2), *(found[n] for n in lived))
    return Outcome(life.score, life.average, life.schedules, reported.optimum, np.asarray(lengths), tuning)


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


def _tuned(
    config: MetaTestConfig, stage: Stage, candidates: list[Any], live: Callable[[Tasks, list[Any], int], Life]
) -> Tuning:
    tasks = draw_tasks(stage.env, config.seed, config.validation_seeds, "validation")
    returns = np.stack([live(tasks, candidates, n).score for n in config.lengths], axis=-1)
    scores = np.stack([stage.normaliser(own, tasks.optimum) for own in returns])
    return choose(candidates, scores, config.tuning.per_horizon)


def _updates(config: MetaTestConfig, agents: Agents) -> int:
    """Updates that an arm makes, all agents together."""
    per_task = sum(config.lengths) if agents.arm.learns else config.lengths[0]
    candidates = len(agents.candidates)
    tasks = config.seeds + (candidates * config.validation_seeds if candidates > 1 else 0)
    return agents.arm.meta_seeds * tasks * per_task


def _resume(out: str, step: int | None, quiet: bool) -> str:
    return meta_test(folders.configuration(out, META_TEST), out, resume=True, quiet=quiet).markdown


META_TEST = kinds.Kind(
    name="meta-test",
    mark=kinds.RUN,
    read=MetaTestConfig.from_json,
    resume=_resume,
    files=("meta_test.csv", "meta_test.md", "improvement.csv", "tuning.csv"),
    folders="results",
    shared=True,
)
"""A meta-test."""
