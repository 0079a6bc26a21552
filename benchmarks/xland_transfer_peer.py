"""Plays XLand-MiniGrid itself with actions that another process chooses, run by the interpreter of its own virtual environment.

    python benchmarks/xland_transfer_peer.py SIDE RULESET EPISODES SEED

Imports nothing of jaxrl_evolve. So many episodes of one ruleset of `xland_rulesets`, in one room of ``SIDE`` cells a side, side by side. Written to
the standard output are, first of the starts and then after each step, 8 bytes, the size of what follows, and arrays as ``.npz``; read from
the standard input is, for each step, one int32 for each episode. It ends where there are no more.
"""

import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
import xland_rulesets as rulesets
from xminigrid.envs.xland import XLandMiniGrid
from xminigrid.types import RuleSet


def tell(at):
    """What there is of a state, to whoever started this."""
    state = at.state
    arrays = {
        "grid": state.grid,
        "position": state.agent.position,
        "direction": state.agent.direction,
        "pocket": state.agent.pocket,
        "observation": at.observation,
        "reward": at.reward,
        "won": at.discount == 0.0,
        "last": at.last(),
    }
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **{name: np.asarray(leaf) for name, leaf in arrays.items()})
    said = file.getvalue()
    sys.stdout.buffer.write(len(said).to_bytes(8, "little") + said)
    sys.stdout.buffer.flush()


def main() -> None:
    side, number, episodes, seed = map(int, sys.argv[1:])
    env = XLandMiniGrid()
    params = env.default_params(height=side, width=side, view_size=rulesets.VIEW, grid_type="R1")
    params = params.replace(ruleset=RuleSet(*map(jnp.asarray, rulesets.drawn(number))))
    step = jax.jit(jax.vmap(lambda at, action: env.step(params, at, action)))
    keys = jax.random.split(jax.random.key(seed), episodes)
    at = jax.jit(jax.vmap(lambda key: env.reset(params, key)))(keys)
    tell(at)
    while len(said := sys.stdin.buffer.read(4 * episodes)) == 4 * episodes:
        at = step(at, jnp.asarray(np.frombuffer(said, np.int32)))
        tell(at)


if __name__ == "__main__":
    main()
