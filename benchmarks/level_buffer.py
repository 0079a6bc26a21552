"""What it costs to put levels into a full buffer: one merge of two top-k beside insertion one after the other.

    python benchmarks/level_buffer.py [--repeats N] [--peer-python PYTHON] [--note TEXT]

writes ``benchmarks/results/level_buffer.md``. The scan is our own: it ranks the buffer for every level, by score and age, and replaces the
lowest, which is what published code does. With ``--peer-python``, an interpreter that has JaxUED, its ``LevelSampler.insert_batch`` is timed
as well, on the same levels. Times are medians of whole calls, compiled and with the buffer donated, of one program after the
other and not in turn. Run it on an idle machine; ``--note`` is a sentence for the page if it is none.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve.curricula.buffer_config import BufferConfig
from jaxrl_evolve.curricula.level_buffer import NEW, LevelBuffer, init_buffer, log_weights, update_buffer
from jaxrl_evolve.storage.folder import write_text
from jaxrl_evolve.storage.provenance import provenance

CASES = ((4_000, 32), (4_000, 256), (4_000, 2_048), (40_000, 256))
SIDE = 13
PEER = """
import json, statistics, sys, time
import jax, jax.numpy as jnp
from jaxued.level_sampler import LevelSampler
found = []
for capacity, batch, repeats in json.loads(sys.argv[1]):
    sampler = LevelSampler(capacity, staleness_coeff=0.3, prioritization_params={"temperature": 1.0})
    state = sampler.initialize({"walls": jnp.zeros((13, 13), bool)})
    insert = jax.jit(lambda s, l, x: sampler.insert_batch(s, l, x)[0], donate_argnums=0)
    k1, k2 = jax.random.split(jax.random.key(1))
    state |= {"levels": {"walls": jax.random.bernoulli(k1, 0.3, (capacity, 13, 13))}}
    state |= {"scores": jax.random.normal(k2, (capacity,)), "timestamps": jnp.arange(capacity, dtype=jnp.int32)}
    state |= {"size": jnp.int32(capacity), "episode_count": jnp.int32(capacity)}
    times = []
    for i in range(repeats + 2):
        k1, k2 = jax.random.split(jax.random.key(10_000 + i))
        levels = {"walls": jax.random.bernoulli(k1, 0.3, (batch, 13, 13))}
        scores = jax.block_until_ready(jax.random.normal(k2, (batch,)))
        jax.block_until_ready(levels)
        start = time.perf_counter()
        state = jax.block_until_ready(insert(state, levels, scores))
        times.append(time.perf_counter() - start)
    found.append(statistics.median(times[2:]))
from importlib.metadata import version
print(json.dumps({"seconds": found, "versions": {name: version(name) for name in ("jaxued", "jax", "jaxlib")}}))
"""


def scanned(config: BufferConfig, buffer: LevelBuffer, levels: Any, scores: jax.Array) -> LevelBuffer:
    """The same levels one after the other, each in place of the one with the smallest weight if it beats its score."""

    def one(buffer: LevelBuffer, entry: Any) -> tuple[LevelBuffer, None]:
        level, score = entry
        at = jnp.argmin(log_weights(config, buffer))
        enters = score > buffer.scores[at]
        put = lambda into, value: into.at[at].set(jnp.where(enters, value, into[at]))
        after = buffer.replace(
            levels=jax.tree.map(put, buffer.levels, level),
            scores=put(buffer.scores, score),
            scored_at=put(buffer.scored_at, buffer.updates + 1),
            numbers=put(buffer.numbers, buffer.unused),
            unused=buffer.unused + 1,
        )
        return after, None

    return jax.lax.scan(one, buffer, (levels, scores))[0]


def timed(insert: Any, buffer: LevelBuffer, batch: int, repeats: int) -> float:
    """Median seconds of one call."""
    times = []
    for i in range(repeats + 2):
        levels, scores = jax.block_until_ready(drawn(i, batch))
        start = time.perf_counter()
        buffer = jax.block_until_ready(insert(buffer, levels, scores))
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def drawn(seed: int, batch: int) -> tuple[Any, jax.Array]:
    """Levels with scores."""
    key_levels, key_scores = jax.random.split(jax.random.key(seed))
    walls = jax.random.bernoulli(key_levels, 0.3, (batch, SIDE, SIDE))
    return {"walls": walls}, jax.random.normal(key_scores, (batch,))


def ours(capacity: int, batch: int, repeats: int) -> tuple[float, float, float]:
    """Seconds of the merge with hashes, of the merge without, and of the scan."""
    seconds = []
    new, everyone = jnp.full((batch,), NEW, jnp.int32), jnp.ones((batch,), bool)
    for unique, scan in ((True, False), (False, False), (False, True)):
        config = BufferConfig(capacity, staleness=0.3, unique=unique)
        merge = lambda buffer, levels, scores: update_buffer(buffer, new, levels, scores, everyone)
        one_by_one = lambda buffer, levels, scores, config=config: scanned(config, buffer, levels, scores)
        fill = jax.jit(
            lambda buffer, levels, scores: update_buffer(
                buffer, jnp.full((capacity,), NEW), levels, scores, jnp.ones((capacity,), bool)
            )
        )
        empty = init_buffer(BufferConfig(capacity, staleness=0.3), {"walls": jnp.zeros((SIDE, SIDE), bool)})
        full = fill(empty, *drawn(10**6, capacity))
        if unique:
            full = full.replace(hashes=jax.random.bits(jax.random.key(1), (capacity, 2), jnp.uint32))
        insert = jax.jit(one_by_one if scan else merge, donate_argnums=0)
        slow = scan and batch * capacity > 10**6
        seconds.append(timed(insert, full, batch, 3 if slow else repeats))
    return seconds[0], seconds[1], seconds[2]


def about(origin: Mapping[str, Any], peer: str) -> str:
    """Where numbers come from, as sentences that end in a space."""
    versions = " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib"))
    git = origin["git"] or {"commit": None, "dirty": False}
    told = f"Hardware: `{hardware(origin['device'])}`. Versions: `{versions}`. "
    told += f"Peer: `{peer}`. " if peer else ""
    return f"{told}Date: {datetime.date.today()}. Commit: `{git['commit']}{'+' * git['dirty']}`. "


def main() -> None:
    """Time and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--peer-python", default="")
    parser.add_argument(
        "--note", default="", help="what else a reader has to know, such as other work on the machine"
    )
    given = parser.parse_args()
    theirs: list[float | None] = [None] * len(CASES)
    peer_versions, origin = "", provenance()
    if given.peer_python:
        cases = json.dumps([(c, b, 3 if b * c > 10**6 else given.repeats) for c, b in CASES])
        run = subprocess.run(
            [given.peer_python, "-c", PEER, cases], check=True, capture_output=True, text=True
        )
        said = json.loads(run.stdout)
        theirs, peer_versions = said["seconds"], " ".join(f"{k}={v}" for k, v in said["versions"].items())
    lines = [
        "| Buffer | levels | merge, hashed | merge | scan | scan / merge, hashed | JaxUED | JaxUED / merge, hashed |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (capacity, batch), peer in zip(CASES, theirs, strict=True):
        hashed, merge, scan = ours(capacity, batch, given.repeats)
        ms = lambda x: f"{1e3 * x:.2f} ms"
        other = [ms(peer), f"{peer / hashed:.0f}"] if peer is not None else ["", ""]
        cells = [
            f"{capacity:,}",
            f"{batch:,}",
            ms(hashed),
            ms(merge),
            ms(scan),
            f"{scan / hashed:.0f}",
            *other,
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    told = [
        "# Insertion into a buffer of levels",
        f"Levels of {SIDE} x {SIDE} flags go into a full buffer; medians of whole calls. The scan inserts one after the other and ranks the buffer for each, as published code "
        "does. JaxUED's duplicate check is off; ours is what `hashed` adds. Programs are timed one after the other, not in turn, so what else a machine does is not shared alike.",
        "\n".join(lines),
        about(origin, peer_versions)
        + (f"{given.note} " if given.note else "")
        + f"Command: `python benchmarks/level_buffer.py --repeats {given.repeats}{' --peer-python PYTHON' if given.peer_python else ''}`.",
    ]
    write_text(RESULTS / "level_buffer.md", "\n\n".join(told) + "\n")


if __name__ == "__main__":
    main()
