"""How agents do on each of many levels: levels that can be solved, and whole episodes on every one of them.

Episodes differ in length by a factor of ten or more, since those that fail last as long as the limit lets them. So slots
take up one episode after another until all are played, and none is left out or counted twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxrl_envs.contract import Env, own_end, own_reward
from jaxrl_envs.fusion import computed_once
from jaxrl_envs.vector import choose
from jaxrl_evolve.learners.learner import Learner, Mode
from jaxrl_evolve.runs.evaluation import check_mode, longest, nothing_seen

ROUNDS = 64
"""How often a level that cannot be solved is drawn anew."""


class LevelEpisodes(NamedTuple):
    """Outcome of ``E`` episodes on each of ``L`` levels.

    Attributes:
        returns: undiscounted return, float32 ``[L, E]``.
        lengths: steps, int32 ``[L, E]``.
        finished: whether the episode ended by itself within the step limit, bool ``[L, E]``.
        info: what `Env.metrics` names, at each episode's last step, float32 ``[L, E, ...]``.
    """

    returns: Array
    lengths: Array
    finished: Array
    info: dict[str, Array]


def draw_solvable(
    env: Env, key: Array, count: int, rounds: int = ROUNDS
) -> tuple[Any, Bool[Array, " count"]]:
    """Levels as the environment draws them, given that they can be solved. Pure; jit it.

    Each is drawn anew, up to ``rounds`` times, until it can be, from a key of its own: the first of many are the same as of
    few. Where the environment does not say what can be solved (`Env.solvable`), every level counts as solvable.

    Args:
        env: one that draws tasks.
        key: randomness; the same key gives the same levels.
        count: how many.
        rounds: draws of each level, at most.

    Returns:
        The levels, leaves ``[count, ...]``, and which of them can be solved.
    """
    sample, can = env.sample_params, env.solvable
    assert sample is not None
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count, dtype=jnp.uint32))

    def draw(i: Array) -> tuple[Any, Array]:
        levels = jax.vmap(lambda key: sample(jax.random.fold_in(key, i)))(keys)
        return levels, jnp.ones((count,), bool) if can is None else jax.vmap(can)(levels)

    def again(carry: tuple[Array, Any, Array]) -> tuple[Array, Any, Array]:
        i, levels, found = carry
        fresh, solved = draw(i)
        return i + 1, choose(found, levels, fresh), found | solved

    more = lambda carry: (carry[0] < rounds) & ~carry[2].all()
    _, levels, found = jax.lax.while_loop(more, again, (jnp.ones((), jnp.int32), *draw(jnp.int32(0))))
    return levels, found


class _Slots(NamedTuple):
    """Slots ``S`` at work on numbered episodes, and what the episodes came to (``L * E``, one after the other)."""

    key: Array
    episode: Array  # its number; L * E where there is nothing left to play
    obs: Any
    state: Any
    first: Array
    memory: Any
    returns: Array
    lengths: Array
    waiting: Array  # number of the next episode to begin
    outcome: LevelEpisodes


def make_level_evaluation(
    env: Env,
    learner: Learner,
    episodes: int,
    max_steps: int | None = None,
    mode: Mode = "sample",
    slots: int = 256,
) -> Callable[[Array, Any, Any], LevelEpisodes]:
    """A compilable ``(key, learner_state, levels) -> LevelEpisodes``, for levels with leaves ``[L, ...]``.

    Args:
        env: the environment to evaluate in.
        learner: whose ``act`` chooses.
        episodes: ``E``, on each level.
        max_steps: at most this many steps an episode; None for as many as the levels allow, see `longest`.
        mode: ``"greedy"`` or ``"sample"``.
        slots: episodes played side by side, at most.

    Raises:
        ValueError: on sizes below one, or a mode that is neither.
    """
    check_mode(mode)
    for name, value in (("episodes", episodes), ("max_steps", max_steps), ("slots", slots)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")

    def evaluate(key: Array, learner_state: Any, levels: Any) -> LevelEpisodes:
        actor = learner.actor(learner_state)
        count = jax.tree.leaves(levels)[0].shape[0]
        most = longest(levels) if max_steps is None else max_steps
        total, width = count * episodes, min(slots, count * episodes)
        level_of = lambda episode: jax.tree.map(
            lambda x: x[jnp.minimum(episode, total - 1) // episodes], levels
        )
        resets = jax.vmap(env.reset)

        def step(now: _Slots) -> _Slots:
            key, key_act, key_step, key_reset = jax.random.split(now.key, 4)
            action, memory, _ = learner.act(actor, now.obs, now.first, now.memory, key_act, mode=mode)
            keys = jax.random.split(key_step, width)
            out = computed_once(jax.vmap(env.step)(keys, now.state, action, level_of(now.episode)))
            returns, lengths = now.returns + own_reward(out), now.lengths + 1
            ended = own_end(out)
            over = (now.episode < total) & (ended | (lengths >= most))
            info = {name: out.info[name].astype(jnp.float32) for name in env.metrics}
            seen = LevelEpisodes(returns, lengths, ended, info)
            at = jnp.where(over, now.episode, total)  # out of bounds, where writes are dropped
            outcome = jax.tree.map(lambda old, new: old.at[at].set(new, mode="drop"), now.outcome, seen)
            turn = now.waiting + jnp.cumsum(over, dtype=jnp.int32) - 1
            episode = jnp.where(over, jnp.minimum(turn, total), now.episode)
            starts = lambda: resets(jax.random.split(key_reset, width), level_of(episode))
            obs, state = jax.lax.cond(
                over.any(), lambda: choose(over, starts(), (out.obs, out.state)), lambda: (out.obs, out.state)
            )
            waiting = now.waiting + over.sum(dtype=jnp.int32)
            zeroed = (jnp.where(over, 0.0, returns), jnp.where(over, 0, lengths))
            return _Slots(key, episode, obs, state, over, memory, *zeroed, waiting, outcome)

        key, key_reset = jax.random.split(key)
        first = jnp.arange(width, dtype=jnp.int32)
        obs, state = resets(jax.random.split(key_reset, width), level_of(first))
        begin = _Slots(
            *(key, first, obs, state, jnp.ones((width,), bool), learner.initial_memory(width)),
            *(jnp.zeros((width,), jnp.float32), jnp.zeros((width,), jnp.int32)),
            *(jnp.int32(width), _nothing_played(env, total)),
        )
        end = jax.lax.while_loop(lambda now: (now.episode < total).any(), step, begin)
        return jax.tree.map(lambda x: x.reshape(count, episodes, *x.shape[1:]), end.outcome)

    return evaluate


def _nothing_played(env: Env, total: int) -> LevelEpisodes:
    """Zeros for ``total`` episodes."""
    zeros = lambda dtype: jnp.zeros((total,), dtype)
    return LevelEpisodes(zeros(jnp.float32), zeros(jnp.int32), zeros(bool), nothing_seen(env, total))
