"""Levels from a buffer, scored at every visit: what all curricula of levels are made of.

In an update every training slot plays a level, drawn from the buffer or new, and all of them are learned from. Scouts
(`runs.tasks.Scouts`) play others only to be scored: new ones, edited ones, and such of the buffer as little is known of. All
sizes are fixed and nothing branches, so seeds are vmapped at no more than their own cost. One formula scores all
(`scores`), and one merge takes them into the buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from jaxrl_envs.contract import Env
from jaxrl_envs.vector import choose
from jaxrl_evolve.curricula.level_buffer import (
    NEW,
    LevelBuffer,
    find,
    init_buffer,
    log_weights,
    sample_levels,
    update_buffer,
)
from jaxrl_evolve.curricula.level_replay import shapes
from jaxrl_evolve.curricula.levels.options import LevelOptions, require_levels
from jaxrl_evolve.curricula.levels.scores import Seen, find_score, optimum_of
from jaxrl_evolve.curricula.levels.visits import Known, pooled, renewed, unknown, visit_of
from jaxrl_evolve.curricula.statistics import success_rule
from jaxrl_evolve.runs.lived import Lived
from jaxrl_evolve.runs.tasks import Assignment, Curriculum, Openings, Scouts

_PARENTS = 4  # of a batch, where not all are edited


@struct.dataclass
class LevelState:
    """State of a curriculum of levels.

    Attributes:
        buffer: levels with scores; its extras are `Known`.
        aside: what a rule keeps besides.
    """

    buffer: LevelBuffer
    aside: Any = ()


class Rule(NamedTuple):
    """What sets a method apart, where settings do not.

    Attributes:
        init: ``options -> aside``.
        logits: ``(options, state) -> float32 [capacity]``, by which levels are drawn.
        trained: ``(options, before, state, number [n]) -> state``, after the scores of the levels that were trained on.
    """

    init: Callable[[LevelOptions], Any] = lambda options: ()
    logits: Callable[[LevelOptions, LevelState], Array] = lambda options, state: log_weights(
        options, state.buffer
    )
    trained: Callable[[LevelOptions, LevelState, LevelState, Array], LevelState] = (
        lambda options, before, state, number: state
    )


USUAL = Rule()
"""Draws by score and age; nothing besides."""


def level_curriculum(name: str, env: Env, options: LevelOptions, rule: Rule = USUAL) -> Curriculum:
    """A curriculum of levels.

    Args:
        name: of the method, for messages.
        env: a family of levels.
        options: all settings.
        rule: what sets it apart.

    Raises:
        ValueError: the environment lacks what the options read.
    """
    require_levels(name, env, edits=options.mutants > 0)
    success = success_rule(env, options.threshold)
    score = find_score(options.score, name, env, success is not None)
    optimum = optimum_of(env)

    def init(key: Array) -> LevelState:
        del key
        return LevelState(init_buffer(options, shapes(env.params), unknown()), rule.init(options))

    def propose(key: Array, state: LevelState, openings: Openings) -> tuple[LevelState, Assignment]:
        logits = rule.logits(options, state)
        draw = sample_levels(options, key, state.buffer, openings.wanted, logits=logits)
        levels = choose(draw.numbers == NEW, openings.drawn, draw.levels)
        return state, Assignment(draw.numbers, levels)

    def visited(state: LevelState, lived: Lived) -> LevelState:
        number, levels, buffer = lived.proposed.number, lived.proposed.params, state.buffer
        everyone = jnp.ones(number.shape, bool)
        slot, alike = find(buffer, number, levels, everyone)
        known, age = _known(buffer, slot)
        visit = pooled(visit_of(lived, success, score.critic, score.influence), alike)
        known = renewed(known, visit, jnp.power(options.decay, age))
        values = score.value(Seen(visit, known, levels, optimum, options))
        known = replace(known, score=jnp.where(jnp.isfinite(values), values, known.score))
        return replace(state, buffer=update_buffer(buffer, number, levels, values, everyone, known))

    def record(state: LevelState, lived: Lived) -> LevelState:
        return rule.trained(options, state, visited(state, lived), lived.proposed.number)

    def metrics(state: LevelState) -> dict[str, Array]:
        return _metrics(state.buffer, rule.logits(options, state))

    def scouted(key: Array, state: LevelState, lived: Lived) -> tuple[LevelState, Assignment]:
        return state, _to_scout(env, options, key, state.buffer, lived.proposed)

    def recorded(state: LevelState, lived: Lived) -> LevelState:
        # A second merge, but no second update: ages and what has faded count updates of the run.
        buffer = replace(state.buffer, updates=state.buffer.updates - 1)
        return visited(replace(state, buffer=buffer), lived)

    scouts = Scouts(options.scouts, options.scout_steps, scouted, recorded) if options.scouts else None
    seat = Curriculum(init, propose, record, metrics, restart=True)
    return seat._replace(
        critic=score.critic, influence=score.influence, scouts=scouts, episodes=score.episodes
    )


def _known(buffer: LevelBuffer, slot: Int[Array, " n"]) -> tuple[Known, Float[Array, " n"]]:
    """What is known of the levels in these slots, nothing of those that have none; and since how many updates."""
    capacity = buffer.numbers.size
    at, there = jnp.minimum(slot, capacity - 1), slot < capacity
    nothing = jax.tree.map(lambda x: jnp.broadcast_to(x, slot.shape), unknown())
    known = choose(there, jax.tree.map(lambda x: x[at], buffer.extras), nothing)
    return known, jnp.where(there, buffer.updates + 1 - buffer.scored_at[at], 0).astype(jnp.float32)


def evidence(options: LevelOptions, buffer: LevelBuffer) -> Float[Array, " capacity"]:
    """Episodes that are known of every level by now."""
    age = (buffer.updates - buffer.scored_at).astype(jnp.float32)
    return buffer.extras.episodes * jnp.power(options.decay, age)


def _to_scout(
    env: Env, options: LevelOptions, key: Array, buffer: LevelBuffer, trained: Assignment
) -> Assignment:
    """New levels, mutants of those that were trained on, and those that are looked at again."""
    key_new, key_mutants, key_again = jax.random.split(key, 3)
    parts = []
    if options.new:
        parts.append(_drawn(env, key_new, options.new))
    if options.mutants:
        parents = _parents(options, buffer, trained)
        levels = _edited(env, key_mutants, parents, options.edits)
        parts.append(Assignment(jnp.full((options.mutants,), NEW, jnp.int32), levels))
    if options.again:
        parts.append(_again(options, buffer, _drawn(env, key_again, options.again)))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def _drawn(env: Env, key: Array, count: int) -> Assignment:
    assert env.sample_params is not None
    levels = jax.vmap(env.sample_params)(jax.random.split(key, count))
    return Assignment(jnp.full((count,), NEW, jnp.int32), levels)


def _parents(options: LevelOptions, buffer: LevelBuffer, trained: Assignment) -> Any:
    """Levels ``[mutants, ...]`` to edit, of those that were trained on."""
    count = trained.number.size
    if options.parents == "batch":
        order = jnp.arange(count)
    else:
        slot = find(buffer, trained.number, trained.params, jnp.ones((count,), bool)).slot
        sign = 1.0 if options.parents == "hard" else -1.0
        score = sign * buffer.scores[jnp.minimum(slot, buffer.numbers.size - 1)]
        there = (slot < buffer.numbers.size) & jnp.isfinite(score)
        order = jax.lax.top_k(jnp.where(there, score, -jnp.inf), min(_PARENTS, count))[1]
    at = order[jnp.arange(options.mutants) % order.size]
    return jax.tree.map(lambda x: x[at], trained.params)


def _edited(env: Env, key: Array, levels: Any, edits: int) -> Any:
    edit = env.edit_params
    assert edit is not None
    count = jax.tree.leaves(levels)[0].shape[0]
    keys = jax.random.split(key, (edits, count))
    return jax.lax.scan(lambda x, keys: (jax.vmap(edit)(keys, x), None), levels, keys)[0]


def _again(options: LevelOptions, buffer: LevelBuffer, instead: Assignment) -> Assignment:
    """Levels of the buffer of which the fewest episodes are known; ``instead`` where it has too few."""
    count = min(options.again, options.capacity)
    lack = jnp.where(buffer.filled, -evidence(options, buffer), -jnp.inf)
    value, slot = jax.lax.top_k(lack, count)
    there = jnp.concatenate([jnp.isfinite(value), jnp.zeros((options.again - count,), bool)])
    slot = jnp.concatenate([slot, jnp.zeros((options.again - count,), slot.dtype)])
    held = Assignment(buffer.numbers[slot], jax.tree.map(lambda x: x[slot], buffer.levels))
    return choose(there, held, instead)


def _metrics(buffer: LevelBuffer, logits: Float[Array, " capacity"]) -> dict[str, Array]:
    """Fill, mean score and age of the buffer; the effective number of levels that are drawn; the share of successes."""
    filled = buffer.filled
    mean = lambda x: jnp.where(filled, x, 0.0).sum() / jnp.maximum(filled.sum(), 1)
    log_p = jnp.where(jnp.isfinite(logits), jax.nn.log_softmax(logits), -jnp.inf)
    entropy = -jnp.where(jnp.isfinite(log_p), jnp.exp(log_p) * log_p, 0.0).sum()
    known = buffer.extras
    return {
        "buffer_fill": filled.mean(dtype=jnp.float32),
        "buffer_score": mean(buffer.scores),
        "buffer_age": mean((buffer.updates - buffer.scored_at).astype(jnp.float32)),
        "buffer_success": mean(known.successes / jnp.maximum(known.episodes, 1e-6)),
        "effective_levels": jnp.where(filled.any(), jnp.exp(entropy), 0.0),
    }
