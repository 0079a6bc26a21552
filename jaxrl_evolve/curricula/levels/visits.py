"""What came of a rollout by level, and what is known of a level from all its visits.

Every slot plays one level from the beginning to the end of the rollout (`Curriculum.restart`), so what came of a level is a
sum along time. Of episodes, a number counts that is known before they are played: those that end within the rollout however long they take
(`runs.whole_episodes`), or all that end, where nobody knows how long that can be. For what was ever reached, the highest return and a success, all
that ended count. An episode whose return is no finite number is none.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.curricula.statistics import Success, by_slot, columns, ends
from jaxrl_evolve.runs.lived import Lived

_OF_EPISODES = ("episodes", "successes", "returns")
_OF_CRITIC = ("scored", "absolute", "positive", "negative", "td", "value")


@struct.dataclass
class Visit:
    """Of ``n`` levels, float32 ``[n]`` each; what no score reads may be zeros.

    Attributes:
        scored: steps that the critic scored.
        absolute, positive, negative: sums of |A|, max(A, 0) and max(-A, 0) over these, ``A`` the advantage.
        td: sum of absolute TD errors.
        value: sum of values.
        episodes: that count.
        successes: of these.
        returns: their sum.
        best: the highest return of all that ended, minus infinity if none did.
        solved: whether one of all that ended was a success, 0 or 1.
        influence: squared norm of the parameter change that the level causes.
    """

    scored: Float[Array, " n"]
    absolute: Float[Array, " n"]
    positive: Float[Array, " n"]
    negative: Float[Array, " n"]
    td: Float[Array, " n"]
    value: Float[Array, " n"]
    episodes: Float[Array, " n"]
    successes: Float[Array, " n"]
    returns: Float[Array, " n"]
    best: Float[Array, " n"]
    solved: Float[Array, " n"]
    influence: Float[Array, " n"]


@struct.dataclass
class Known:
    """Of a level from all visits, float32 scalars or ``[n]``.

    Attributes:
        episodes: that counted, those of earlier updates counting less.
        successes: of these.
        best: the highest return ever, minus infinity if no episode ended.
        solved: whether there was a success ever, 0 or 1.
        score: the last one, as it was computed.
    """

    episodes: Any
    successes: Any
    best: Any
    solved: Any
    score: Any


def unknown() -> Known:
    """Of a level that was never visited."""
    zero = jnp.zeros((), jnp.float32)
    return Known(zero, zero, jnp.full((), -jnp.inf, jnp.float32), zero, zero)


def visit_of(lived: Lived, success: Success | None, critic: bool = True, influence: bool = False) -> Visit:
    """What came of a rollout, by slot.

    Args:
        lived: a rollout whose slots play one level each.
        success: what a success is; without one there are none.
        critic: whether to ask the critic.
        influence: whether to ask for the parameter change that each level causes.
    """
    names = (*_OF_EPISODES, *_OF_CRITIC)
    asked = (
        *(("episodes", "returns") if success is None else _OF_EPISODES),
        *(_OF_CRITIC if critic else ()),
    )
    sums = by_slot(columns(lived, asked, success))
    nothing = jnp.zeros_like(sums["episodes"])
    change = nothing
    if influence:
        assert lived.influence is not None
        change = lived.influence()
    returns = lived.played.episode_return
    assert returns is not None
    over = ends(lived, success, every=True)
    best = jnp.where(over, returns, -jnp.inf).max(0)
    solved = nothing if success is None else (over & (success(lived) > 0)).any(0).astype(jnp.float32)
    summed = {name: sums.get(name, nothing) for name in names}
    return Visit(**summed, best=best, solved=solved, influence=change)


def pooled(visit: Visit, alike: Bool[Array, "n n"]) -> Visit:
    """The same with all that came of a level wherever it was played; of the parameter change, the mean.

    Args:
        visit: by slot.
        alike: which slots played the same level.
    """
    share = alike.astype(jnp.float32)
    add = lambda x: jnp.matmul(share, x, precision=jax.lax.Precision.HIGHEST)
    best = jnp.where(alike, visit.best[None], -jnp.inf).max(1)
    solved = jnp.where(alike, visit.solved[None], 0.0).max(1)
    # Not by a product of matrices, where one that is no number would be in every sum.
    change = jnp.where(alike, visit.influence[None], 0.0).sum(1) / share.sum(1)
    summed = jax.tree.map(add, visit)
    return Visit(**{**vars(summed), "best": best, "solved": solved, "influence": change})


def renewed(known: Known, visit: Visit, left: Float[Array, " n"]) -> Known:
    """What is known after a visit; `Known.score` stays.

    Args:
        known: before.
        visit: what came of it.
        left: what is left by now of the episodes that were counted before.
    """
    return Known(
        left * known.episodes + visit.episodes,
        left * known.successes + visit.successes,
        jnp.maximum(known.best, visit.best),
        jnp.maximum(known.solved, visit.solved),
        known.score,
    )
