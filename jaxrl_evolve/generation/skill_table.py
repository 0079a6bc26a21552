"""How often each skill is done in each spec, counted on the device: sums over the episodes that ended, of fixed shapes.

An episode belongs to the spec of its last step. One that a time limit cut off is an episode like any other, in which a skill counts
if it was done by then; how many there were is counted beside. What a spec hands out at the start is not done by anybody: it does not
count (`granted`).

Whoever counts the episodes that end within a stretch of steps counts more of the short ones: the others are still going on. Shares in
the original are therefore told from an evaluation, where every slot plays exactly one (`runs.evaluation`).
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from jaxrl_evolve.generation.intervals import wilson


@struct.dataclass
class SkillTable:
    """Counts since the table was emptied. int32 holds 2^31 of each, more than a phase has.

    Attributes:
        steps: of each spec.
        episodes: that ended.
        cut: of these, by a limit and nothing else.
        won: of these, successful.
        lengths: steps of these episodes, added up.
        returns: their returns, added up.
        done: episodes in which each skill was done.
    """

    steps: Int[Array, " specs"]
    episodes: Int[Array, " specs"]
    cut: Int[Array, " specs"]
    won: Int[Array, " specs"]
    lengths: Int[Array, " specs"]
    returns: Float[Array, " specs"]
    done: Int[Array, "specs skills"]


@struct.dataclass
class Ends:
    """What is known where episodes end, ``[T, N]``; elsewhere nothing of it is read.

    Attributes:
        ended: whether an episode ended with this step.
        cut: whether by a limit and nothing else.
        won: whether it is a success.
        length: its steps.
        returned: its return; one that is not finite adds nothing.
        skills: what was done in it by then.
        granted: what it began with, or was handed out; None for nothing.
    """

    ended: Bool[Array, "T N"]
    cut: Bool[Array, "T N"]
    won: Bool[Array, "T N"]
    length: Int[Array, "T N"]
    returned: Float[Array, "T N"]
    skills: Bool[Array, "T N skills"]
    granted: Bool[Array, "T N skills"] | None = None


def empty_table(specs: int, skills: int) -> SkillTable:
    """A table of as many specs as there may ever be, so that more of them need no other program."""
    counts = lambda *shape: jnp.zeros(shape, jnp.int32)
    none = counts(specs)
    return SkillTable(none, none, none, none, none, jnp.zeros((specs,), jnp.float32), counts(specs, skills))


def with_rollout(table: SkillTable, spec: Int[Array, "T N"], ends: Ends) -> SkillTable:
    """The table after some steps.

    Args:
        table: before.
        spec: number of each step's spec; steps of numbers that the table has not are left out.
        ends: what is known where episodes end.
    """
    count = table.steps.size
    at = jnp.where((spec >= 0) & (spec < count), spec, count).reshape(
        -1
    )  # a negative index would count from the end
    ended = ends.ended.reshape(-1)
    add = lambda old, new: old.at[at].add(new.astype(old.dtype), mode="drop")
    of_ends = lambda x: jnp.where(ended, x.reshape(-1), 0)
    skills = ends.skills if ends.granted is None else ends.skills & ~ends.granted
    done = skills.reshape(-1, skills.shape[-1]) & ended[:, None]
    returned = jnp.where(jnp.isfinite(ends.returned), ends.returned, 0.0)
    return SkillTable(
        add(table.steps, jnp.ones_like(at)),
        add(table.episodes, ended),
        add(table.cut, of_ends(ends.cut)),
        add(table.won, of_ends(ends.won)),
        add(table.lengths, of_ends(ends.length)),
        add(table.returns, of_ends(returned)),
        add(table.done, done),
    )


@struct.dataclass
class Shares:
    """Shares of episodes with 95 % intervals (Wilson's), float32; where there is no episode 0.5, from 0 to 1.

    Attributes:
        share: the share.
        low: the lower end of its interval.
        high: the upper end.
    """

    share: Float[Array, "*rows"]
    low: Float[Array, "*rows"]
    high: Float[Array, "*rows"]


def success_shares(table: SkillTable) -> Shares:
    """Of successes in each spec, ``[specs]``."""
    return Shares(*wilson(table.won, table.episodes))


def skill_shares(table: SkillTable) -> Shares:
    """Of each skill in each spec, ``[specs, skills]``."""
    episodes = jnp.broadcast_to(table.episodes[:, None], table.done.shape)
    return Shares(*wilson(table.done, episodes))
