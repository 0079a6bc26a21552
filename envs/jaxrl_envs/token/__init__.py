"""Tasks of tokens with verifiers: a prompt, a completion token by token, a reward at its end.

Nothing but jax is needed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import ASKED, ENV_REWARD, TAUGHT, Arms, Env
from jaxrl_envs.keywords import near, reject_unknown
from jaxrl_envs.parameters import like_default
from jaxrl_envs.seeds import key_of
from jaxrl_envs.spaces import Box, Discrete
from jaxrl_envs.token import arc, countdown, refusal, sorting, sum_mod, summary, zebra
from jaxrl_envs.token.engine import TOLD, TokenState, engine, score
from jaxrl_envs.token.task import Difficulty, Task, TokenParams, Verdict
from jaxrl_envs.token.vocabulary import BOS, EOS, PAD, Vocabulary
from jaxrl_envs.token.writing import Written

__all__ = [
    "BOS",
    "EOS",
    "NAMES",
    "PAD",
    "TASKS",
    "Difficulty",
    "Task",
    "TokenParams",
    "TokenState",
    "Verdict",
    "Vocabulary",
    "Written",
    "find_task",
    "from_task",
    "make",
    "score",
]

TASKS: Mapping[str, Task] = {
    "sum-mod": sum_mod.TASK,
    "sorting": sorting.TASK,
    "countdown": countdown.TASK,
    "arc-1d": arc.TASK,
    "zebra": zebra.TASK,
    "summary": summary.TASK,
    "refusal": refusal.TASK,
}
"""Tasks by name."""
NAMES = tuple(TASKS)
"""Registry names after ``token/``."""
LONGEST = 4096
"""What the limit of a completion may be raised to."""


def find_task(name: str) -> Task:
    """The task behind a registry name, with or without ``token/``: its vocabulary, its verifier, its solutions.

    Raises:
        ValueError: there is none.
    """
    short = name.removeprefix("token/")
    if short not in TASKS:
        raise ValueError(f"there is no task {name!r}{near(short, TASKS) or '.'} Known: {', '.join(TASKS)}")
    return TASKS[short]


def make(name: str, **kwargs: Any) -> Env:
    """A task of tokens of the registry.

    Args:
        name: one of `NAMES`.
        **kwargs: as in `from_task`.

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    return from_task(find_task(name), f"token/{name}", **kwargs)


def from_task(task: Task, name: str = "token/own", **kwargs: Any) -> Env:
    """An environment for a task.

    ``sample_params`` and ``arms`` give parameters with a fixed prompt. The arms are the task's difficulties, with all other knobs
    as they are here; what is held out is none of them, and is made by its knob.

    Args:
        task: what is asked.
        name: of the environment.
        **kwargs: the task's knobs; ``answer_limit``, tokens of a completion with its end, at least what the longest solution
            needs; ``level_seed``, from which one prompt is drawn that stays; without it, each reset draws another; ``taught``, whether a
            teacher answers in the place of the actions, for imitation (``info["taught"]``).

    Raises:
        ValueError: for an unknown option, or a value that an option does not take.
    """
    reject_unknown(name, kwargs, [*task.ranges, "answer_limit", "level_seed", "taught"])
    knobs = _knobs(task, name, kwargs)
    limit = kwargs.get("answer_limit", task.answer_limit)
    whole = isinstance(limit, int | np.integer) and not isinstance(limit, bool)
    if not whole or not task.answer_limit <= limit <= LONGEST:
        raise ValueError(
            f"answer_limit of {name} is {limit!r}; it must be a whole number from {task.answer_limit} to {LONGEST}"
        )
    own = {*TOLD, ASKED, TAUGHT}
    if taken := own.intersection(task.told):
        raise ValueError(f"told of {name} has {min(taken)!r}, which every task of tokens tells itself")
    taught = kwargs.get("taught", False)
    if not isinstance(taught, bool | np.bool_):
        raise ValueError(f"taught of {name} is {taught!r}; it must be True or False")
    made = engine(task._replace(answer_limit=int(limit)), bool(taught))
    default = TokenParams(jnp.ones((), bool), jnp.zeros((2,), jnp.uint32), knobs)

    def fixed(key: jax.Array, knobs: Any = knobs) -> TokenParams:
        return TokenParams(jnp.zeros((), bool), jax.random.bits(key, (2,), jnp.uint32), knobs)

    seed = kwargs.get("level_seed")
    if seed is not None:
        default = fixed(key_of(like_default(name, "level_seed", np.int32(0), seed)))
    difficulty, most = task.difficulty, task.longest

    def of_arm(key: jax.Array, arm: jax.Array) -> TokenParams:
        value = jnp.asarray(difficulty.arms, jnp.int32)[arm]
        return fixed(key, dataclasses.replace(knobs, **{difficulty.knob: value}))

    def longest(params: TokenParams) -> int:
        assert most is not None
        prompt = float(most(params.knobs))
        if not math.isfinite(prompt):
            raise ValueError(f"longest of {name} is {prompt}; it must be a number of tokens")
        return int(prompt) + int(limit) - 1  # with the prompt's last token the first one is asked for

    highest = task.vocabulary.size - 1
    return Env(
        name,
        made.reset,
        made.step,
        default,
        Box((0, 0), (highest, 1), (2,), "int32"),
        Discrete(task.vocabulary.size),
        sample_params=fixed if seed is None else lambda key: default,
        optimal_return=task.optimum,
        metrics=(*TOLD, *(what for what in task.told if what != ENV_REWARD)),
        longest=None if most is None else longest,
        check_params=lambda params: _check_knobs(task, name, params.knobs),
        alone=from_task(task, name, **{**kwargs, "taught": False}) if taught else None,
        arms=Arms(tuple(f"{difficulty.knob} {value}" for value in difficulty.arms), of_arm),
    )


def _knobs(task: Task, name: str, given: Mapping[str, Any]) -> Any:
    """The task's knobs as arrays, those that are given in the place of the default ones."""
    values = {}
    for knob in task.ranges:
        default = getattr(task.knobs, knob)
        values[knob] = like_default(name, knob, default, given.get(knob, default))
    knobs = dataclasses.replace(task.knobs, **values)
    _check_knobs(task, name, knobs)
    return knobs


def _check_knobs(task: Task, name: str, knobs: Any) -> None:
    for knob, (low, high) in task.ranges.items():
        value = float(getattr(knobs, knob))
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"{knob} of {name} is {value:.9g}; it must be from {low:g} to {high:g}")
