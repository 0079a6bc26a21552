"""Times XLand-MiniGrid, run by the interpreter of its own virtual environment.

    python benchmarks/specs_peer.py BATCH STEPS REPEATS RULESETS

prints a JSON list: steps per second of each repeat. Imports nothing of jaxrl_evolve. ``BATCH`` slots play rulesets of
`xland_rulesets`, each its own, with random actions, and begin anew in the step in which an episode ends.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import xland_rulesets as rulesets
from xminigrid.envs.xland import XLandMiniGrid
from xminigrid.types import RuleSet
from xminigrid.wrappers import GymAutoResetWrapper


def main() -> None:
    batch, steps, repeats, count = map(int, sys.argv[1:])
    env = GymAutoResetWrapper(XLandMiniGrid())
    params = env.default_params(
        height=rulesets.SIDE,
        width=rulesets.SIDE,
        view_size=rulesets.VIEW,
        max_steps=rulesets.MAX_STEPS,
        grid_type="R1",
    )
    drawn = rulesets.many(count)
    slots = RuleSet(*(jnp.asarray(leaf[np.arange(batch) % count]) for leaf in drawn))
    one_reset = lambda ruleset, key: env.reset(params.replace(ruleset=ruleset), key)
    one_step = lambda ruleset, at, action: env.step(params.replace(ruleset=ruleset), at, action)

    def loop(slots, at, key):
        def once(i, carry):
            at, total = carry
            action = jax.random.randint(jax.random.fold_in(key, i), (batch,), 0, 6)
            at = jax.vmap(one_step)(slots, at, action)
            return at, total + at.reward.sum() + at.observation.sum()

        return jax.lax.fori_loop(0, steps, once, (at, jnp.zeros((), jnp.float32)))

    run = jax.jit(loop, donate_argnums=1)
    at = jax.jit(jax.vmap(one_reset))(slots, jax.random.split(jax.random.key(0), batch))
    at, _ = jax.block_until_ready(run(slots, at, jax.random.key(1)))
    found = []
    for i in range(repeats):
        began = time.perf_counter()
        at, _ = jax.block_until_ready(run(slots, at, jax.random.key(2 + i)))
        found.append(batch * steps / (time.perf_counter() - began))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
