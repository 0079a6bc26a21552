"""What worlds of Craftax-Classic cost as specs: starts and steps of many different ones, of as many equal ones, and of craftax's own.

    python benchmarks/craftax_specs.py [--size large] [--slots 64] [--repeats 20]

prints a table of times as multiples of a step of craftax's own, all taken in turn in one process. Compiling takes minutes on a CPU.
"""

from __future__ import annotations

import argparse
import datetime
from typing import Any

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from learning import hardware  # noqa: E402
from timing import Timed, in_turn  # noqa: E402

import jaxrl_envs  # noqa: E402
from jaxrl_envs.contract import Env  # noqa: E402
from jaxrl_envs.specs.craftax.model import SIZES  # noqa: E402
from jaxrl_evolve.results.report.text import markdown_table  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402


def starts(env: Env, params: Any, slots: int) -> Timed:
    """Fresh starts in all slots; ``params`` have an axis of slots."""

    def run(key: jax.Array) -> jax.Array:
        key, key_reset = jax.random.split(key)
        obs, _ = jax.vmap(env.reset)(jax.random.split(key_reset, slots), params)
        # What is made has to be looked at, lest it be left out.
        return jax.random.fold_in(key, obs.sum().astype(jnp.uint32))

    return Timed(jax.jit(run), jax.random.key(0))


def steps(env: Env, params: Any, slots: int) -> Timed:
    """A step of random actions in all slots, from starts on; what has ended goes on."""

    def run(carry: Any) -> Any:
        key, state = carry
        key, key_act, key_step = jax.random.split(key, 3)
        action = jax.random.randint(key_act, (slots,), 0, env.action_space.n, jnp.int32)
        out = jax.vmap(env.step)(jax.random.split(key_step, slots), state, action, params)
        return jax.random.fold_in(key, out.obs.sum().astype(jnp.uint32)), out.state

    _, state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(1), slots), params)
    return Timed(jax.jit(run), (jax.random.key(0), state))


def programs(size: str, slots: int) -> dict[str, Timed]:
    """What is timed."""
    worlds = jaxrl_envs.make("specs/craftax", size=size)
    stock = jaxrl_envs.make("craftax/Craftax-Classic-Symbolic-v1", map_size=(SIZES[size],) * 2)
    same = lambda params: jax.tree.map(lambda x: jnp.broadcast_to(x, (slots, *x.shape)), params)
    assert worlds.sample_params is not None
    different = jax.jit(jax.vmap(worlds.sample_params))(jax.random.split(jax.random.key(2), slots))
    return {
        "step, craftax": steps(stock, same(stock.params), slots),
        "step, equal specs": steps(worlds, same(worlds.params), slots),
        "step, different specs": steps(worlds, different, slots),
        "start, craftax": starts(stock, same(stock.params), slots),
        "start, equal specs": starts(worlds, same(worlds.params), slots),
        "start, different specs": starts(worlds, different, slots),
    }


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=[*SIZES], default="large")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args(words)
    found = in_turn(programs(arguments.size, arguments.slots), arguments.repeats)
    base = np.asarray(found["step, craftax"])
    rows = []
    for name, seconds in found.items():
        ratio = np.asarray(seconds) / base
        low, middle, high = np.quantile(ratio, (0.25, 0.5, 0.75))
        rows.append([name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}"])
    print(markdown_table(["", "median", "quartiles"], rows))
    side = SIZES[arguments.size]
    told = provenance()
    print(
        f"\nTimes of {arguments.slots} slots on {side} x {side} cells as multiples of craftax's step, {arguments.repeats} turns. "
        f"{hardware(told['device'])}, {datetime.date.today()}, jax {told['versions']['jax']}."
    )


if __name__ == "__main__":
    main()
