"""Plays XLand-MiniGrid itself, run by the interpreter of its own virtual environment, and writes down what happened.

    python benchmarks/xland_equal_peer.py FILE SIDE RULESETS STEPS SEED

Imports nothing of jaxrl_evolve. Each ruleset of `xland_rulesets` is played for so many steps of random actions in one room of
``SIDE`` cells a side; where an episode ends, the next begins. ``FILE`` gets arrays ``[steps, rulesets, ...]``: starts as they are
before each step, whether it is one, actions, and what came of them.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import xland_rulesets as rulesets
from xminigrid.core.actions import take_action
from xminigrid.envs.xland import XLandMiniGrid
from xminigrid.types import RuleSet

ODDS = (0.42, 0.12, 0.12, 0.16, 0.16, 0.02)
"""Of actions: walking, taking and putting down more than turning, so that rules fire."""


def told(at):
    """A state as arrays."""
    state = at.state
    return {
        "grid": state.grid,
        "position": state.agent.position,
        "direction": state.agent.direction,
        "pocket": state.agent.pocket,
        "observation": at.observation,
        "reward": at.reward,
        "terminated": at.discount == 0.0,
        "last": at.last(),
    }


def main() -> None:
    path, side, count, steps, seed = sys.argv[1], *map(int, sys.argv[2:])
    env = XLandMiniGrid()
    params = env.default_params(height=side, width=side, view_size=rulesets.VIEW, grid_type="R1")
    drawn = rulesets.many(count, seed)
    slots = RuleSet(*(jnp.asarray(leaf) for leaf in drawn))
    reset = jax.vmap(lambda ruleset, key: env.reset(params.replace(ruleset=ruleset), key))

    def one(ruleset, at, key):
        mine = params.replace(ruleset=ruleset)
        key_new, key_act = jax.random.split(key)
        action = jax.random.choice(key_act, 6, p=jnp.asarray(ODDS))
        after = env.step(mine, at, action)
        moved, agent, _ = take_action(at.state.grid, at.state.agent, action)
        ruled = (moved != after.state.grid).any() | (agent.pocket != after.state.agent.pocket).any()
        new = env.reset(mine, key_new)
        following = jax.tree.map(lambda a, b: jnp.where(after.last(), a, b), new, after)
        return following, {"action": action, "ruled": ruled, **told(after)}

    def once(at, key):
        following, seen = jax.vmap(one)(slots, at, jax.random.split(key, count))
        return following, {**seen, **{f"begin_{name}": leaf for name, leaf in told(at).items()}}

    key_reset, key_steps = jax.random.split(jax.random.key(seed))
    begun = jax.jit(reset)(slots, jax.random.split(key_reset, count))
    # Types as a step gives them, which a reset leaves open.
    begun = jax.tree.map(
        lambda a, b: jnp.asarray(a, b.dtype),
        begun,
        jax.eval_shape(lambda at: once(at, key_steps)[0], begun),
    )
    _, seen = jax.jit(lambda at, keys: jax.lax.scan(once, at, keys))(
        begun, jax.random.split(key_steps, steps)
    )
    np.savez(path, **{name: np.asarray(leaf) for name, leaf in seen.items()})


if __name__ == "__main__":
    main()
