"""A closer look at Craftax specs: can goals come about, and are starts sound?

No policy is played: craftax's step takes longer to compile than all the rest.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from craftax.craftax_classic.constants import SOLID_BLOCKS

from jaxrl_envs.seeds import key_of
from jaxrl_envs.specs.craftax.encoding import encode
from jaxrl_envs.specs.craftax.engine import from_spec
from jaxrl_envs.specs.craftax.model import BLOCKS, SIZES, CraftaxSpec
from jaxrl_envs.specs.craftax.reading import infeasible
from jaxrl_envs.specs.kinds import Checked


@functools.cache
def _starts(size: Any, resets: int) -> Any:
    """The compiled ``(key, params) -> (finite, blocked, deadly, counts)``, float32 ``[resets]`` each, counts ``[resets, 17]``."""
    env = from_spec(CraftaxSpec(size=size))

    def one(key: jax.Array, params: Any) -> tuple[jax.Array, ...]:
        obs, state = env.reset(key, params)
        under = state.map[state.player_position[0], state.player_position[1]]
        counts = (state.map.reshape(-1)[:, None] == jnp.arange(17)).sum(0)
        flags = (
            jnp.isfinite(obs).all(),
            (under == SOLID_BLOCKS).any(),
            under == BLOCKS["lava"],
        )
        return (*flags, counts)

    return jax.jit(lambda key, params: jax.vmap(one, (0, None))(jax.random.split(key, resets), params))


def check(spec: CraftaxSpec, seed: int, resets: int, episodes: int, tries: int) -> Checked:
    """See `Kind.check`; ``episodes`` are not played.

    Raises:
        ValueError: tries are asked for, and there is nobody who plays these worlds by a script.
    """
    del episodes
    if tries:
        raise ValueError(f"tries is {tries}, but nobody plays worlds of Craftax by a script; it must be 0")
    if reasons := infeasible(spec):
        return Checked(tuple(reasons))
    key = key_of(seed)
    finite, blocked, deadly, counts = jax.device_get(_starts(spec.size, resets)(key, encode(spec)))
    found = {
        "an observation has a number that is none": ~finite,
        "the agent starts on what cannot be walked on": blocked,
        "the agent starts in lava": deadly,
    }
    bad = tuple(
        f"{what} in {100 * float(np.mean(flags)):.0f} % of {resets} starts"
        for what, flags in found.items()
        if flags.any()
    )
    cells = SIZES[spec.size] ** 2
    shares = {name: 100 * float(counts[:, number].mean()) / cells for name, number in BLOCKS.items()}
    said = ", ".join(f"{name} {share:.2g} %" for name, share in shares.items() if share)
    return Checked(bad, f"cells of {resets} starts: {said}")
