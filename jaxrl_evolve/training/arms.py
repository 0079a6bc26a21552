"""The arms of a run whose curriculum is one of arms: by name, as tasks from a fixed key, and whether a resumed run has the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrl_envs.contract import Arms, Env
from jaxrl_evolve.curricula.arms.arms import arms_of
from jaxrl_evolve.curricula.arms.names import ARM_CURRICULA
from jaxrl_evolve.curricula.arms.options import flags
from jaxrl_evolve.results.allocation import forgotten, starved
from jaxrl_evolve.runs.levels import draw_solvable
from jaxrl_evolve.settings.rows import OF_CURRICULUM
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.parts import literal

ARMS = "arms"
"""Their names in the record of a checkpoint."""


def arms_of_run(config: TrainConfig[Any, Any], env: Env) -> Arms | None:
    """The arms that a run's curriculum draws; None where it is none of arms."""
    if config.curriculum not in ARM_CURRICULA:
        return None
    return arms_of(env, str(literal(config.curriculum_options.get("arms", ""))))


def thresholds_of_run(config: TrainConfig[Any, Any], arms: int) -> np.ndarray | None:
    """Returns from which on an episode of each arm is a success, float32 ``[arms]``, if the run's curriculum was given some."""
    if config.curriculum not in ARM_CURRICULA or "threshold" not in config.curriculum_options:
        return None
    given = np.asarray(literal(config.curriculum_options["threshold"]), np.float32)
    return np.broadcast_to(given, (arms,)) if given.shape in ((), (arms,)) else None


def tasks_of_arms(env: Env, arms: Arms, count: int, key: Array) -> tuple[Any, np.ndarray]:
    """Tasks of each arm, those of one after those of the other, drawn until they can be solved.

    Args:
        env: whose they are.
        arms: the arms.
        count: of each arm.
        key: the same key gives the same tasks; the first of many are the same as of few.

    Returns:
        The tasks, leaves ``[arms * count, ...]``, and which of them can be solved, bool ``[arms, count]``.
    """
    number = len(arms.names)

    def of_arm(arm: Array) -> tuple[Any, Array]:
        own = dataclasses.replace(env, sample_params=lambda key: arms.sample(key, arm))
        return draw_solvable(own, jax.random.fold_in(key, arm), count)

    levels, found = jax.jit(jax.vmap(of_arm))(jnp.arange(number, dtype=jnp.int32))
    return jax.tree.map(lambda x: x.reshape(number * count, *x.shape[2:]), levels), np.asarray(found)


def available_of_run(config: TrainConfig[Any, Any], arms: int) -> np.ndarray:
    """Which arms the run's curriculum may draw, bool ``[arms]``.

    Raises:
        ValueError: the configuration says it of another number of arms.
    """
    return flags(literal(config.curriculum_options.get("available", ())), arms)


def allocation(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], available: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """What rows of metrics say of each arm; empty where they say nothing of single arms.

    Args:
        rows: of a run, oldest first.
        names: of the arms.
        available: which of them may be drawn, bool ``[arms]``; all by default.

    Returns:
        By arm: ``share`` of the draws in the last row, ``starved_rows``, the most in succession with less than a tenth of a fair
        share (none of an arm that may not be drawn), and ``forgotten``, how far success in training lies below the highest of an earlier row, if anybody says what a
        success is; each a number for every run.
    """
    words = [name.replace(" ", "_") for name in names]
    told = lambda what: np.array(
        [[row.get(f"{OF_CURRICULUM}{what}_{word}") for word in words] for row in rows], np.float64
    )  # [rows, arms, runs]
    if not rows or f"{OF_CURRICULUM}share_{words[0]}" not in rows[-1]:
        return []
    share = np.moveaxis(told("share"), 1, -1)
    facts = {"share": share[-1], "starved_rows": starved(share, available=available)}
    if f"{OF_CURRICULUM}success_{words[0]}" in rows[-1]:
        facts["forgotten"] = forgotten(np.moveaxis(told("success"), 1, -1))
    return [{name: x[..., arm] for name, x in facts.items()} for arm in range(len(names))]


def check_arms(host: Host, arms: Arms | None, step: int | None) -> None:
    """Refuse to go on with other arms than there are statistics of, or with the same ones in another order.

    Arms that a person gives are part of the configuration, and refused there; those that an environment names may have changed
    since.

    Args:
        host: of the run.
        arms: of its curriculum as they are now, if it is one of arms.
        step: the checkpoint to go on from; the newest by default.

    Raises:
        ValueError: naming the arms that came, that went, or the order.
    """
    checkpoints = host.checkpoints
    if arms is None or not host.resuming or checkpoints is None or not checkpoints.steps():
        return
    there = checkpoints.manifest(step).record.get(ARMS)  # which earlier versions did not record
    if there is None or tuple(there) == arms.names:
        return
    listed = lambda a, b: ", ".join(x for x in a if x not in b)
    new, lost = listed(arms.names, there), listed(there, arms.names)
    differ = (
        " and ".join([f"{new} came"] * bool(new) + [f"{lost} went"] * bool(lost)) or "their order changed"
    )
    raise ValueError(
        f"the curriculum of the run in {checkpoints.folder.parent} has statistics of the arms {', '.join(there)}, but there are now "
        f"{', '.join(arms.names)} ({differ}): a run goes on with the arms that it was started with, so train into another folder"
    )
