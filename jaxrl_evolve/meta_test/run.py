"""A meta-test from the host: arm after arm, each saved, then the tables and figures of all."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import warnings

from jaxrl_evolve.meta_test import drawing, tables
from jaxrl_evolve.meta_test.agents import Agents, Sizes, build_agents, choose_sizes, parse_overrides
from jaxrl_evolve.meta_test.arms import Arm, find_arms
from jaxrl_evolve.meta_test.comparison import Comparison, compare
from jaxrl_evolve.meta_test.config import MetaTestConfig
from jaxrl_evolve.meta_test.outcome import Outcome, load, result_path, save
from jaxrl_evolve.meta_test.tasks import Normaliser
from jaxrl_evolve.meta_test.tested import Stage, test_arm
from jaxrl_evolve.objectives import HorizonWarning
from jaxrl_evolve.runs.evaluation import warn_of_cut
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.configurations import FILES
from jaxrl_evolve.storage.provenance import origin, provenance
from jaxrl_evolve.training.host import Host, open_host
from jaxrl_evolve.training.parts import literal, make_env


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
                # A clock that lies is judged with the step sizes of the true one.
                parent = outcomes.get((stage.name, agents.arm.parent))
                outcomes[stage.name, agents.arm.label] = _outcome(config, stage, agents, host, parent)
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


def _outcome(
    config: MetaTestConfig, stage: Stage, agents: Agents, host: Host, parent: Outcome | None
) -> Outcome:
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
    began = time.perf_counter()
    chosen = () if parent is None else (parent.tuning,)
    outcome = test_arm(config, stage, agents, made, *chosen)
    facts = {**outcome.facts, "seconds": time.perf_counter() - began, **origin()}
    outcome = dataclasses.replace(outcome, facts=facts)
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
    overrides = parse_overrides(config.agents, arms)
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


def _updates(config: MetaTestConfig, agents: Agents) -> int:
    """Updates that an arm makes, all agents together."""
    per_task = sum(config.lengths) if agents.arm.learns else config.lengths[0]
    candidates = len(agents.candidates)
    tuned = candidates > 1 and not agents.arm.parent
    tasks = config.seeds + (candidates * config.validation_seeds if tuned else 0)
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
