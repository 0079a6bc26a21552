"""What a task of tokens is made of: prompts, a verifier that reads along, a solution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxrl_envs.token.vocabulary import Vocabulary
from jaxrl_envs.token.writing import Written


@struct.dataclass
class TokenParams:
    """Which prompt is set: any of a difficulty, or a certain one.

    Attributes:
        fresh: bool, whether each reset draws another prompt from its key.
        instance: uint32 ``[2]``, what the prompt is drawn from where ``fresh`` is False; unread elsewhere.
        knobs: of the task: difficulty and rewards.
    """

    fresh: jax.Array
    instance: jax.Array
    knobs: Any


class Verdict(NamedTuple):
    """What becomes of a completion.

    Attributes:
        reward: float32.
        success: bool, whether the answer is right.
        told: more for ``info``, numbers or flags, by name.
    """

    reward: jax.Array
    success: jax.Array
    told: Mapping[str, jax.Array]


class Difficulty(NamedTuple):
    """The knob that makes a task harder.

    Attributes:
        knob: its name.
        arms: values to train on, the easiest first.
        held_out: a harder one to test on.
    """

    knob: str
    arms: tuple[int, ...]
    held_out: int


class Task(NamedTuple):
    """A task of tokens; all functions are pure, without batch axes, of fixed shapes.

    A verifier reads one token of the completion after the other (``begin``, ``read``) and keeps what it needs, so that no
    step reads a whole completion again.

    Attributes:
        vocabulary: of prompt and completion.
        answer_limit: tokens of a completion at most, the end among them.
        knobs: default ones, a dataclass of arrays.
        ranges: the lowest and the highest value of each knob.
        difficulty: which of them makes it harder.
        draw: ``(key, knobs) -> (prompt, secret)``, a `Written` that begins with `BOS`, and whatever the verifier needs.
        begin: ``secret -> memory``.
        read: ``(memory, token, secret) -> memory``, for each token but the end.
        judge: ``(memory, length, secret, knobs) -> Verdict``, of a completion of ``length`` tokens (int32) without the end.
        solution: ``secret -> Written``, a best completion, without the end.
        told: names of what verdicts tell besides success, all of them metrics unless they begin with ``env_``.
        longest: ``knobs -> int``, the tokens of a prompt at most; None where nobody knows.
        optimum: ``params -> float32``, the highest reward that can be expected.
    """

    vocabulary: Vocabulary
    answer_limit: int
    knobs: Any
    ranges: Mapping[str, tuple[float, float]]
    difficulty: Difficulty
    draw: Callable[[jax.Array, Any], tuple[Written, Any]]
    begin: Callable[[Any], Any]
    read: Callable[[Any, jax.Array, Any], Any]
    judge: Callable[[Any, jax.Array, Any, Any], Verdict]
    solution: Callable[[Any], Written]
    told: tuple[str, ...] = ()
    longest: Callable[[Any], Any] | None = None
    optimum: Callable[[TokenParams], jax.Array] = lambda params: jnp.ones((), jnp.float32)


def defaults(kind: Callable[..., Any], **values: bool | int | float) -> Any:
    """Knobs of a kind from Python numbers: bool, int32, float32. They are of NumPy, so that importing a task starts no device."""
    types = {bool: np.bool_, int: np.int32, float: np.float32}
    return kind(**{name: types[type(value)](value) for name, value in values.items()})


class Match(NamedTuple):
    """How far a completion is the one that is right: tokens that were read (int32), whether all of them are (bool)."""

    read: jax.Array
    right: jax.Array


def begin_match(secret: Written) -> Match:
    """Nothing read."""
    del secret
    return Match(jnp.zeros((), jnp.int32), jnp.ones((), bool))


def read_match(memory: Match, token: jax.Array, secret: Written) -> Match:
    """One token compared with the one in its place; what is longer than the right answer is not right."""
    expected = secret.tokens[jnp.minimum(memory.read, secret.tokens.shape[0] - 1)]
    right = memory.right & (memory.read < secret.length) & (token == expected)
    return Match(memory.read + 1, right)


def matched(memory: Match, secret: Written) -> jax.Array:
    """Whether the completion is the right one, to the last token: bool."""
    return memory.right & (memory.read == secret.length)


def judge_match(memory: Match, length: jax.Array, secret: Written, knobs: Any) -> Verdict:
    """1 for the right answer, 0 for any other."""
    del length, knobs
    success = matched(memory, secret)
    return Verdict(success.astype(jnp.float32), success, {})
