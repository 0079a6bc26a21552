"""The environment contract: two pure functions, default parameters, and two spaces.

Every suite is adapted *to* this contract; nothing else in the project speaks another suite's
dialect. An environment never resets itself: what happens after an episode's end is chosen by the
caller with a reset policy (`jaxrl_envs.vector`), after the transition has been recorded. So the
observation a step returns is always the true successor of its action.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxrl_envs.spaces import Space


class EnvStep(NamedTuple):
    """What one `Env.step` returns (no batch axis).

    Attributes:
        obs: the true successor observation, also at the end of an episode.
        state: the successor state, a pytree of the same structure, shapes and dtypes as reset's.
        reward: float32 scalar.
        terminated: bool scalar, the task itself ended; the value of the successor is zero.
        truncated: bool scalar, a time or step limit cut the episode; the successor still has value.
            Both may be set in one step: then the episode terminated.
        info: fixed-shape facts about the transition (same keys every step), e.g. achievements. If there is an
            ``"env_reward"``, float32, episodes are reported by it, and ``reward`` is only learned from; if there is a
            ``"game_over"``, bool, an episode as it is reported ends where that is set, and not with each end that is learned from.
    """

    obs: Any
    state: Any
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    info: Mapping[str, Any]


ENV_REWARD = "env_reward"
"""The name in ``info`` of the environment's own reward, where the reward to learn from is another."""


def own_reward(seen: Any) -> jax.Array:
    """The rewards that the returns of episodes are summed from: ``info["env_reward"]`` where it is there, else ``reward``.

    Args:
        seen: an `EnvStep`, or any record of steps with both fields.
    """
    return seen.info.get(ENV_REWARD, seen.reward)


GAME_OVER = "game_over"
"""The name in ``info`` of what tells that an episode is over as it is reported, where a part of it, such as a life, ends for the learner."""


ASKED = "asked"
"""The name in ``info`` of what tells where the action was the agent's own: elsewhere the environment went on, such as with a prompt, whatever it was."""


TAUGHT = "taught"
"""The name in ``info`` of the action that was taken in the place of the agent's, by a teacher whom it may imitate."""


def own_end(seen: Any) -> jax.Array:
    """Where episodes are over as they are reported: ``info["game_over"]`` where it is there, else where they end at all.

    Args:
        seen: an `EnvStep`, or any record of steps with these fields.
    """
    over = seen.info.get(GAME_OVER)
    return seen.terminated | seen.truncated if over is None else over


def reported(metrics: tuple[str, ...], info: Any) -> dict[str, Any]:
    """What `Env.metrics` names of ``info``.

    Raises:
        ValueError: info has nothing of a name; with what it has.
    """
    for name in metrics:
        if name not in info:
            there = f"which has {', '.join(info)}" if info else "which is empty"
            raise ValueError(f"metrics names {name!r}, but there is no such thing in info, {there}")
    return {name: info[name] for name in metrics}


class Stack(NamedTuple):
    """How an observation is made of frames: the last ``frames`` of its episode, the oldest first, along the last axis.

    Attributes:
        frames: how many; 1 where observations are no stacks.
        start: what stands for frames from before the episode's first: that one again, or zeros.
    """

    frames: int = 1
    start: Literal["repeat", "zeros"] = "repeat"


NO_STACK = Stack()


class Arms(NamedTuple):
    """Kinds of tasks that a curriculum chooses among, such as levels of difficulty, from the easiest.

    Attributes:
        names: of the arms, none twice.
        sample: ``(key, arm) -> params``, a task of the arm of that number (int32 scalar): parameters of the structure,
            shapes and dtypes of `Env.params`. It is pure and vmapped over both; the key may go unread.
    """

    names: tuple[str, ...]
    sample: Callable[[jax.Array, jax.Array], Any]


class Builder(NamedTuple):
    """How a task is built step by step, for an agent that learns which ones to build (an adversary).

    Attributes:
        editor: an environment whose actions build: an episode of it makes one task. Its rewards are not read, its observations should
            say how far the task is built, and something random, so that not every task is the same.
        steps: how many actions build a task; ``editor`` does not end before.
        level: ``state -> params``, the task that is built in a state of ``editor`` after so many steps: parameters of the structure,
            shapes and dtypes of `Env.params`.
    """

    editor: Env
    steps: int
    level: Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Env:
    """An environment as data and pure functions. Compared and hashed by identity.

    Attributes:
        name: the registry name, e.g. ``"brax/ant"``.
        reset: ``(key, params) -> (obs, state)``.
        step: ``(key, state, action, params) -> EnvStep``; never resets.
        params: default parameters, a pytree of strongly typed arrays. They are traced data: vmap over
            them, sweep them, generate them.
        observation_space: of one observation. Spaces may be nested in dictionaries, tuples or other pytrees if
            observations are; `flatten_observations` makes one array of them, which is what learners and `check_env` take.
        action_space: of one action; likewise, see `flatten_actions`.
        render: optional host-side ``(state, params) -> uint8 [H, W, 3]``.
        sample_params: optional ``key -> params``, another task of the same kind: parameters of the structure,
            shapes and dtypes of ``params``. None where there is one task only.
        optimal_return: optional ``params -> float32``, the highest undiscounted return that can be expected, of what is reported: of
            ``info["env_reward"]`` where it is there.
        metrics: names in ``info`` of what is worth reporting of an episode: numbers or flags (or arrays of them) whose
            value at its last step counts, such as ``success``. ``return``, ``length``, ``finished`` and ``seconds`` are taken.
        restart: optional ``(key, state, params) -> (obs, state)``, what follows on an episode that ended in ``state`` where
            that is not `reset`: after a lost life the same game goes on.
        stack: whether observations are stacks of frames; a replay buffer then keeps every frame once.
        edit_params: optional ``(key, params) -> params``, a task near by: one random edit.
        solvable: optional ``params -> bool``, whether the task can be solved at all.
        arms: optional kinds of its tasks, for curricula of arms.
        longest: optional ``params -> int``, the steps that an episode takes at most, of parameters that are known (host side).
        check_params: optional ``params -> None``, which raises a ``ValueError`` of one sentence where there is no such task (host side): types
            and time limits are checked without it.
        alone: where a teacher answers whatever the actions, the same environment without one, of the same parameters: agents are evaluated there.
        builder: optional way to build its tasks step by step, for curricula with an adversary.
    """

    name: str
    reset: Callable[[jax.Array, Any], tuple[Any, Any]]
    step: Callable[[jax.Array, Any, Any, Any], EnvStep]
    params: Any
    observation_space: Space
    action_space: Space
    render: Callable[[Any, Any], np.ndarray] | None = None
    sample_params: Callable[[jax.Array], Any] | None = None
    optimal_return: Callable[[Any], jax.Array] | None = None
    metrics: tuple[str, ...] = ()
    restart: Callable[[jax.Array, Any, Any], tuple[Any, Any]] | None = None
    stack: Stack = NO_STACK
    edit_params: Callable[[jax.Array, Any], Any] | None = None
    solvable: Callable[[Any], jax.Array] | None = None
    arms: Arms | None = None
    builder: Builder | None = None
    longest: Callable[[Any], int] | None = None
    check_params: Callable[[Any], None] | None = None
    alone: Env | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.metrics, tuple) or not all(isinstance(name, str) for name in self.metrics):
            raise ValueError(
                f"{self.name}: metrics is {self.metrics!r}; it must be a tuple of names, such as ('success',)"
            )
