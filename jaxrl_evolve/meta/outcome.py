"""What a meta-training came to: its objective, the summary in ``result.json``, and the figure of its fitness."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxrl_evolve.meta.config import MetaTrainConfig
from jaxrl_evolve.objectives.kinds import path_of
from jaxrl_evolve.objectives.stored import StoredObjective
from jaxrl_evolve.results import figures
from jaxrl_evolve.storage import sinks
from jaxrl_evolve.storage.folder import RunFolder
from jaxrl_evolve.storage.provenance import provenance


@dataclasses.dataclass(frozen=True)
class MetaTrainResult:
    """What a meta-training came to.

    Attributes:
        config: what was asked for.
        summary: the contents of ``result.json``.
        objective: the meta-trained objective.
        state: the last state.
        rows: the metrics, oldest first.
    """

    config: MetaTrainConfig[Any, Any, Any]
    summary: dict[str, Any]
    objective: StoredObjective
    state: Any
    rows: list[dict[str, Any]]


def stored_objective(
    config: MetaTrainConfig[Any, Any, Any],
    eta: Any,
    generations: int,
    env_steps: int,
    evaluation_steps: int,
    rows: Sequence[Mapping[str, Any]],
    command: str = "",
) -> StoredObjective:
    """An objective with where it comes from.

    Args:
        config: of its meta-training.
        eta: its parameters, NumPy arrays.
        generations: made so far.
        env_steps: that its agents have made, all together.
        evaluation_steps: of evaluations and held-out lives besides.
        rows: the metrics so far.
        command: that began it.
    """
    tests = [row for row in rows if "test_fitness" in row]
    return StoredObjective(
        kind=config.family.kind,
        settings=config.complete_settings(),
        eta=eta,
        horizons=config.horizon_range,
        environments=(config.env,),
        budget={
            "generations": generations,
            "population": config.population,
            "env_steps": env_steps,
            "evaluation_steps": evaluation_steps,
            "num_envs": config.num_envs,
            "rollout_length": config.rollout_length,
            **_schedule(config),
        },
        seeds=(config.seed,),
        scores={"test_fitness": tests[-1]["test_fitness"]} if tests else {},
        command=command,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )


def _schedule(config: MetaTrainConfig[Any, Any, Any]) -> dict[str, float]:
    """What is left of the agents' step size at the horizon: a schedule that whoever uses the objective should keep."""
    end = getattr(config.hp, "learning_rate_end", None)
    return {} if end is None else {"learning_rate_end": float(end)}


def summarise(
    config: MetaTrainConfig[Any, Any, Any],
    generations: int,
    env_steps: int,
    evaluation_steps: int,
    rows: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The contents of ``result.json``.

    Args:
        config: what was asked for.
        generations: made.
        env_steps: that agents made, all together.
        evaluation_steps: of evaluations and held-out lives besides.
        rows: the metrics, oldest first.
        seconds: ``compile_seconds`` and ``run_seconds``.
    """
    last = rows[-1] if rows else {}
    trained = seconds["run_seconds"]
    return {
        "objective": config.objective,
        "env": config.env,
        "generations": generations,
        "population": config.population,
        "env_steps": env_steps,
        "evaluation_steps": evaluation_steps,
        "fitness": last.get("fitness"),
        "test_fitness": last.get("test_fitness"),
        "test_optimum": last.get("test_optimum"),
        **seconds,
        "steps_per_second": env_steps / trained if trained else None,
        "seed": config.seed,
        **provenance(),
    }


def sentence(summary: Mapping[str, Any], out: str) -> str:
    """What a meta-training came to, for whoever started it.

    Args:
        summary: the contents of ``result.json``.
        out: the run folder.
    """
    path = path_of(out)
    return (
        f"{summary['objective']} on {summary['env']}: {summary['generations']:,} generations of "
        f"{summary['population']:,}, {summary['env_steps']:,} environment steps at "
        f"{summary['steps_per_second']:,.0f} a second; the objective is {path}: jaxrl-evolve train … --objective {path}"
    )


def held_out(rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, str]:
    """Fitness of the held-out tasks, ``[tasks, rows]``, as a fraction of the optimum where it is known; and what to
    call it.

    Args:
        rows: those with a ``test_fitness``. Tasks whose optimum is not above zero are left out of fractions; where all are
            such, fitness is told as it is.
    """
    fitness = np.array([row["test_fitness"] for row in rows], np.float64).T
    if not all("test_optimum" in row for row in rows):
        return fitness, "Held-out fitness"
    best = np.array(rows[-1]["test_optimum"], np.float64)[:, None]
    reachable = best[:, 0] > 0
    if not reachable.any():
        return fitness, "Held-out fitness"
    return fitness[reachable] / best[reachable], "Held-out fitness / optimal return"


def draw_fitness(config: MetaTrainConfig[Any, Any, Any], folder: RunFolder) -> None:
    """Draw held-out fitness over generations, as a fraction of the optimum where it is known."""
    rows = [row for row in sinks.read_jsonl(folder.metrics) if "test_fitness" in row]
    if len(rows) < 2:
        return
    fitness, label = held_out(rows)
    curve = figures.Curve(config.objective, np.array([row["generation"] for row in rows]), fitness)
    figures.learning_curves(
        [curve],
        folder.curves,
        title=f"{config.objective} on {config.env}",
        xlabel="Generation",
        ylabel=label,
    )
