"""How long an episode can be, and which episodes of a rollout are whole whatever becomes of them.

Episodes that are cut at the end of a rollout are the long ones, and where success is quick and failure slow, mostly failures: to count
whatever ended counts too many successes. A rollout that begins with an episode holds ``T // limit`` whole ones in any case, ``limit`` the
steps that one takes at most. To count these and no others is a fixed number of episodes, of which every mean is without bias.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxrl_envs.contract import Env, own_end
from jaxrl_envs.parameters import limits
from jaxrl_evolve.settings.checks import MOST
from jaxrl_evolve.trajectory import Trajectory


def most_steps(env: Env, params: Any) -> int | None:
    """Of an episode, if that is known: by the environment, or by its smallest time limit (host side)."""
    bounds = [int(most) for _, limit in limits(params) if (most := np.asarray(limit).max()) < MOST]
    if env.longest is not None:
        bounds.append(env.longest(params))
    return min(bounds, default=None)


def surely_whole(env: Env, params: Any, trajectory: Trajectory) -> Bool[Array, "T N"] | None:
    """The steps of those episodes that end within a rollout whatever happens; None where nobody knows how long an episode can be.

    Tasks whose own limit is longer than the rollout have no such episodes: of them all steps count.

    Args:
        env: whose default task says whether there is a limit.
        params: of every slot, leaves ``[N, ...]``; their time limits count, where they have any.
        trajectory: leaves ``[T, N, ...]``; every slot begins an episode at its first step.
    """
    with jax.ensure_compile_time_eval():  # of numbers that are known, while a program is traced
        most = most_steps(env, env.params)
    if most is None:
        return None
    length = trajectory.reward.shape[0]
    whole = length // _smallest(params, most, trajectory.reward.shape[1])
    over = own_end(trajectory).astype(jnp.int32)
    earlier = jnp.cumsum(over, 0) - over
    return earlier < jnp.where(whole > 0, whole, length)


def _smallest(params: Any, most: int, slots: int) -> Int[Array, " N"]:
    """The smallest time limit of every slot; ``most`` where its parameters have none."""
    own = [jnp.asarray(limit).reshape(slots, -1).max(1) for _, limit in limits(params)]
    if not own:
        return jnp.full((slots,), most, jnp.int32)
    return jnp.clip(jnp.stack(own).min(0), 1, 2**30).astype(jnp.int32)  # a limit may be a large float
