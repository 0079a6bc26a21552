"""The game of tokens: a prompt is shown token by token, then the actions are the completion, then a verifier judges it.

An observation is int32 ``[2]``: the last token, and whether the next action is the policy's own. Where it is not, the prompt
goes on whatever the action, with no reward. The action `EOS` ends the completion, and so does its limit: a completion that
was cut is judged as it stands, and the episode terminated, for what is unfinished has no value to come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from jaxrl_envs.contract import ASKED, TAUGHT, EnvStep
from jaxrl_envs.token.task import Task, TokenParams, Verdict
from jaxrl_envs.token.vocabulary import EOS

TOLD = ("success", "cut", "answer_length")
"""What ``info`` has of every task."""


@struct.dataclass
class TokenState:
    """A prompt, and how far it and the completion are.

    Attributes:
        prompt: int32 ``[P]``.
        length: int32, tokens of the prompt.
        shown: int32, tokens of prompt and completion so far.
        secret: what the verifier knows.
        memory: what it has read.
        solution: the completion that a teacher writes, or ``()``.
    """

    prompt: jax.Array
    length: jax.Array
    shown: jax.Array
    secret: Any
    memory: Any
    solution: Any = ()


class Engine(NamedTuple):
    """`Env.reset` and `Env.step` of a task."""

    reset: Callable[[jax.Array, TokenParams], tuple[jax.Array, TokenState]]
    step: Callable[[jax.Array, TokenState, jax.Array, TokenParams], EnvStep]


def engine(task: Task, taught: bool = False) -> Engine:
    """The functions of an environment for a task.

    Args:
        task: what is asked.
        taught: whether a teacher answers, whatever the actions: ``info`` then has the tokens that were written.
    """

    def observed(token: jax.Array, state: TokenState) -> jax.Array:
        return jnp.stack([token, (state.shown >= state.length).astype(jnp.int32)])

    def reset(key: jax.Array, params: TokenParams) -> tuple[jax.Array, TokenState]:
        # Fixed or not, a prompt is drawn from key data of one generator: the same everywhere, whatever keys a program uses.
        data = jnp.where(params.fresh, jax.random.bits(key, (2,), jnp.uint32), params.instance)
        prompt, secret = task.draw(jax.random.wrap_key_data(data, impl="threefry2x32"), params.knobs)
        one = jnp.ones((), jnp.int32)
        solution = task.solution(secret) if taught else ()
        state = TokenState(prompt.tokens, prompt.length, one, secret, task.begin(secret), solution)
        return observed(prompt.tokens[0], state), state

    def step(key: jax.Array, state: TokenState, action: jax.Array, params: TokenParams) -> EnvStep:
        del key
        asked = state.shown >= state.length
        following = state.prompt[jnp.minimum(state.shown, state.prompt.shape[0] - 1)]
        written = _solved(state) if taught else action.astype(jnp.int32)
        token = jnp.where(asked, written, following)
        writes = asked & (token != EOS)
        read = task.read(state.memory, token, state.secret)
        memory = jax.tree.map(lambda new, old: jnp.where(writes, new, old), read, state.memory)
        length = jnp.maximum(state.shown - state.length, 0) + writes
        cut = writes & (length >= task.answer_limit)
        ended = cut | (asked & ~writes)
        verdict = task.judge(memory, length, state.secret, params.knobs)
        at_the_end = lambda x: jnp.where(ended, x, jnp.zeros_like(x))
        told = {name: at_the_end(x) for name, x in {"success": verdict.success, **verdict.told}.items()}
        state = state.replace(shown=state.shown + 1, memory=memory)  # type: ignore[attr-defined]
        return EnvStep(
            obs=observed(token, state),
            state=state,
            reward=at_the_end(verdict.reward),
            terminated=ended,
            truncated=jnp.zeros((), bool),
            info={
                **told,
                "cut": cut,
                "answer_length": length,
                ASKED: asked,
                **({TAUGHT: written} if taught else {}),
            },
        )

    return Engine(reset, step)


def _solved(state: TokenState) -> jax.Array:
    """The next token of the solution, its end included."""
    place = jnp.maximum(state.shown - state.length, 0)
    tokens = state.solution.tokens
    return jnp.where(place < state.solution.length, tokens[jnp.minimum(place, tokens.shape[0] - 1)], EOS)


def score(task: Task, secret: Any, tokens: jax.Array, length: jax.Array, knobs: Any) -> Verdict:
    """A verifier's verdict on a whole completion, as at the end of an episode.

    Args:
        task: what is asked.
        secret: of the prompt, as in `TokenState`.
        tokens: int32 ``[n]``, the completion without the end; from ``length`` on anything.
        length: int32.
        knobs: of the prompt's parameters.
    """

    def one(memory: Any, given: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
        at, token = given
        new = task.read(memory, token, secret)
        return jax.tree.map(lambda a, b: jnp.where(at < length, a, b), new, memory), None

    places = jnp.arange(tokens.shape[0], dtype=jnp.int32)
    memory, _ = jax.lax.scan(one, task.begin(secret), (places, tokens))
    return task.judge(memory, length, secret, knobs)
