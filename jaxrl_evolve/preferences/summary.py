"""What is kept of a trajectory to compare it with others: a few numbers."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.settings.checks import whole


@struct.dataclass
class Summary:
    """One trajectory, or many with axes in front; float32.

    Attributes:
        total: return.
        early: return of the first three quarters of the horizon.
        late: return of the last quarter.
        myopic: return in which a step counts ``myopia`` times as much as the one after it (B-Pref's teachers).
        length: steps until the episode ended.
        criteria: ``[..., K]`` returns of further criteria.
        end: ``[..., 2]`` where it ended.
    """

    total: Array
    early: Array
    late: Array
    myopic: Array
    length: Array
    criteria: Array
    end: Array


def summarise(
    reward: Float[Array, " T"],
    alive: Bool[Array, " T"],
    criteria: Float[Array, "T K"] | None = None,
    end: Float[Array, 2] | None = None,
    myopia: float = 1.0,
) -> Summary:
    """The summary of one episode.

    Args:
        reward: of every step.
        alive: whether the step belongs to the episode; what comes after its end does not count, whatever it holds.
        criteria: rewards of further criteria; none by default.
        end: where it ended; the origin by default.
        myopia: of `Summary.myopic`; 1 counts all steps alike.
    """
    horizon = reward.shape[0]
    reward = jnp.where(alive, reward, 0.0).astype(jnp.float32)
    step, length = jnp.arange(horizon), alive.sum().astype(jnp.float32)
    more = jnp.zeros((horizon, 0), jnp.float32) if criteria is None else criteria
    first = step < 3 * horizon // 4
    weight = myopia ** jnp.where(alive, length - 1.0 - step, 0.0)
    return Summary(
        total=reward.sum(),
        early=jnp.where(first, reward, 0.0).sum(),
        late=jnp.where(first, 0.0, reward).sum(),
        myopic=(weight * reward).sum(),
        length=length,
        criteria=jnp.where(alive[:, None], more, 0.0).sum(0).astype(jnp.float32),
        end=jnp.zeros(2, jnp.float32) if end is None else end.astype(jnp.float32),
    )


def summarise_segments(
    reward: Float[Array, " T"],
    alive: Bool[Array, " T"],
    length: int,
    criteria: Float[Array, "T K"] | None = None,
    myopia: float = 1.0,
) -> Summary:
    """Summaries ``[T / length]`` of an episode in equal pieces, for preferences that add up over steps.

    A piece after the end of the episode has the length 0; leave it out of comparisons.

    Raises:
        ValueError: the horizon is no multiple of the length.
    """
    horizon = reward.shape[0]
    if whole("length", length, 1) > horizon or horizon % length:
        raise ValueError(f"length is {length}; it must divide the horizon, {horizon}")
    pieces = lambda x: x.reshape(horizon // length, length, *x.shape[1:])
    if criteria is None:
        return jax.vmap(lambda r, a: summarise(r, a, myopia=myopia))(pieces(reward), pieces(alive))
    one = lambda r, a, c: summarise(r, a, c, myopia=myopia)
    return jax.vmap(one)(pieces(reward), pieces(alive), pieces(criteria))


@partial(jax.jit, static_argnums=(1, 2))
def random_summaries(key: Array, number: int, criteria: int = 3) -> Summary:
    """Summaries with an axis ``[number]`` that no episode had, to try an oracle on; some values occur twice, as ties do."""
    keys = jax.random.split(key, 7)
    drawn = lambda key, *more: jnp.round(2.0 * jax.random.normal(key, (number, *more), jnp.float32), 1)
    return Summary(
        *(drawn(k) for k in keys[:4]),
        length=jax.random.randint(keys[4], (number,), 1, 9).astype(jnp.float32),
        criteria=drawn(keys[5], criteria),
        end=drawn(keys[6], 2),
    )
