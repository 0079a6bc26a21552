"""An episode of a trained agent as a GIF or an mp4, played on the host step by step; of several agents, side by side."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import jax

from jaxrl_envs.contract import Env, own_end
from jaxrl_evolve import random
from jaxrl_evolve.learners.learner import Mode
from jaxrl_evolve.runs.policy import Carry, Policy
from jaxrl_evolve.training.restore import Trained, load
from jaxrl_evolve.training.video import Film, check_format, grid, write

Which = int | Literal["best", "all"]
MOST_RUNS = 64
"""Runs that a grid shows."""


def render(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    run: Which | Sequence[Which] = 0,
    mode: Mode = "greedy",
    seed: int = 0,
    max_steps: int = 1_000,
    fps: int = 30,
) -> str:
    """Play one episode of a trained agent, or of several, and write it as a GIF or an mp4.

    Args:
        folder: run folder.
        out: file to write, ``.gif`` or ``.mp4``; ``episode.gif`` in the run folder by default.
        run: which run of the folder, from 0, or ``"best"`` (see `Trained.policy`); several, or ``"all"``, are a grid, row by
            row. All play with the same randomness, and one that has ended shows its last frame until all have.
        mode: ``"greedy"`` or ``"sample"``.
        seed: root of the episode's randomness, and of its task where evaluation draws tasks.
        max_steps: steps after which the episode is cut off.
        fps: frames per second.

    Returns:
        The path of the file, which appears whole or not at all.

    Raises:
        ValueError: there is no such folder, checkpoint or run, the environment cannot be drawn, or a number
            is out of range.
        ImportError: an mp4 was asked for and there is no encoder.
        OSError: the file cannot be written.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}; it must be at least 1")
    target = Path(folder) / "episode.gif" if out is None else Path(out)
    check_format(target, fps)
    trained = load(folder)
    env = trained.experiment.tested
    policies = [trained.policy(number, mode) for number in _numbers(trained, run)]
    if env.render is None:
        raise ValueError(f"the suite of {env.name} offers no drawing of it, so an episode cannot be shown")
    key = jax.random.fold_in(random.key(seed), random.KeyTag.FILMS)
    if trained.experiment.drawn and env.sample_params is not None:  # as in evaluation
        key, key_task = jax.random.split(key)
        env = dataclasses.replace(env, params=env.sample_params(key_task))
    write(film(env, play(env, policies, key, max_steps)), target, fps)
    return str(target)


def play(env: Env, policies: Sequence[Policy], key: jax.Array, max_steps: int) -> list[list[Any]]:
    """The environment's states in an episode of each policy, its first and its last included.

    Args:
        env: the environment.
        policies: of one learner and mode.
        key: randomness of the episode, the same for all.
        max_steps: steps after which it is cut off.
    """

    @jax.jit
    def step(actor: Any, key: jax.Array, state: Any, obs: Any, carry: Carry) -> Any:
        key, key_act, key_step = jax.random.split(key, 3)
        action, carry = policies[0].act(actor, obs, carry, key_act)
        out = env.step(key_step, state, action, env.params)
        return key, out.state, out.obs, carry, own_end(out)

    reset = jax.jit(env.reset)
    episodes = []
    for policy in policies:
        now, key_reset = jax.random.split(key)
        obs, state = reset(key_reset, env.params)
        carry, states = policy.start(), [state]
        for _ in range(max_steps):
            now, state, obs, carry, ended = step(policy.actor, now, state, obs, carry)
            states.append(state)
            if ended:
                break
        episodes.append(states)
    return episodes


def film(env: Env, episodes: Sequence[Sequence[Any]]) -> Film:
    """What `play` returned, of an environment that can draw itself, as frames; that of a single episode is its own."""
    draw = env.render
    assert draw is not None

    def frame(number: int) -> Any:
        return grid([draw(states[min(number, len(states) - 1)], env.params) for states in episodes])

    return Film(frame, max(map(len, episodes)))


def _numbers(trained: Trained, run: Which | Sequence[Which]) -> list[int]:
    asked: list[Which] = list(run) if isinstance(run, list | tuple) else [cast(Which, run)]
    if asked == ["all"]:
        numbers = list(range(trained.diverged.size))
    else:
        numbers = [trained.number(one) for one in asked if one != "all"]
        if len(numbers) < len(asked):
            raise ValueError(f"run is {asked}; 'all' must stand alone")
    if not 1 <= len(numbers) <= MOST_RUNS:
        raise ValueError(f"run names {len(numbers)} runs; it must be from 1 to {MOST_RUNS}")
    return numbers
