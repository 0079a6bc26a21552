"""Times flashbax's trajectory buffer, run by the interpreter of its own virtual environment.

    python benchmarks/replay_peer.py ROWS ENVS LENGTH BATCH UPDATES

says its versions once the buffer is full, and then, for each line that it is sent, the seconds of one update, as JSON. Imports nothing of jaxrl_evolve. An update
adds ``ENVS x LENGTH`` steps and draws ``BATCH`` of them, in a loop whose buffer is donated. Steps carry their true
successors and are drawn one by one: of neighbouring steps the later one's observation would be that after a reset.
"""

import json
import sys
import time
from importlib.metadata import version

import flashbax
import jax
import jax.numpy as jnp


def main() -> None:
    rows, envs, length, batch, updates = map(int, sys.argv[1:])
    buffer = flashbax.make_trajectory_buffer(
        add_batch_size=envs,
        sample_batch_size=batch,
        sample_sequence_length=1,
        period=1,
        min_length_time_axis=1,
        max_length_time_axis=rows,
    )
    four = jnp.zeros((4,), jnp.float32)
    step = {
        "obs": four,
        "action": jnp.zeros((), jnp.int32),
        "reward": jnp.zeros((), jnp.float32),
        "terminated": jnp.zeros((), bool),
        "next_obs": four,
    }

    def update(i, carry):
        state, key, total = carry
        new = jax.tree.map(lambda x: jnp.full((envs, length, *x.shape), i).astype(x.dtype), step)
        state = buffer.add(state, new)
        drawn = buffer.sample(state, jax.random.fold_in(key, i)).experience
        return state, key, total + sum(x.astype(jnp.float32).sum() for x in jax.tree.leaves(drawn))

    def loop(state, key):
        state, _, total = jax.lax.fori_loop(0, updates, update, (state, key, jnp.float32(0)))
        return state, total

    run = jax.jit(loop, donate_argnums=0)
    # Filled first, so that all sizes draw from all they hold.
    state = jax.jit(buffer.init)(step)
    for _ in range(-(-rows // (length * updates))):
        state, _ = run(state, jax.random.key(0))
    jax.block_until_ready(state)
    print(json.dumps({name: version(name) for name in ("flashbax", "jax", "jaxlib")}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(run(state, jax.random.key(0)))
        print(json.dumps({"seconds": (time.perf_counter() - began) / updates}), flush=True)


if __name__ == "__main__":
    main()
