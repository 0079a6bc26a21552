"""What comparisons cost: all pairs of N episodes, their share of an update of SPO, SPO beside plain PPO, and exact exploitability of many policies.

    python benchmarks/preference_speed.py [pairs] [update] [exact] [--repeats N]

writes ``benchmarks/results/preference_speed.csv`` and ``.md``; parts that are not named keep their rows. Run it on an idle machine.

- ``pairs``: all pairs of N = 256, 1024 and 4096 summaries by return, as one compiled function.
- ``update``: one update of SPO-PPO on brax/hopper, N = 1024 episodes of 100 steps, in turn with one of plain PPO with the same sizes, epochs and minibatches, and with all pairs alone.
- ``exact``: exploitability and duality gap of 10,000 pairs of policies of a game with ten options, in one call.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware

import jaxrl_evolve
from jaxrl_evolve import TrainConfig, random
from jaxrl_evolve.preferences.comparison import in_batch
from jaxrl_evolve.preferences.exploitability import duality_gap, exploitability
from jaxrl_evolve.preferences.games import random_game
from jaxrl_evolve.preferences.named import oracle_from_name
from jaxrl_evolve.preferences.summary import random_summaries
from jaxrl_evolve.results.report.text import csv_text, markdown_table
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.experiment import build, traced

COLUMNS = ("part", "what", "median_ms", "min_ms", "max_ms", "repeats", "hardware", "date", "commit")
SIZES = (256, 1_024, 4_096)
ENV, N, LENGTH = "brax/hopper", 1_024, 100
POLICIES = 10_000


def timed(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each, all in turn, after one that compiles."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        jax.block_until_ready(run())
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            found[name].append(1e3 * (time.perf_counter() - began))
    return found


def all_pairs(number: int, preference: str = "flips:0.3") -> Callable[[], Any]:
    """All pairs of summaries."""
    oracle, phi = oracle_from_name(preference), random_summaries(random.key(0), number)
    go = jax.jit(lambda key: in_batch(oracle, key, phi))
    return lambda: go(random.key(1))


def one_update(algorithm: str, env: str = ENV, envs: int = N, length: int = LENGTH) -> Callable[[], Any]:
    """An update of one run, of the size and with the passes that both algorithms share."""
    learner: dict[str, Any] = {"epochs": 4, "minibatches": 32, "normalise_observations": True}
    learner |= {"network": {"hidden": (64, 64)}}
    if algorithm == "spo":
        learner |= {"preference": "flips:0.3", "check_oracle": False}
    config = TrainConfig.preset(
        algorithm,
        env,
        num_envs=envs,
        rollout_length=length,
        resets="full",
        learner=learner,
        env_options={"episode_length": str(length)},
    )
    experiment = build(config)
    hp, params = traced(config.hp), experiment.env.params
    state = jax.jit(experiment.chunk.init)(random.key(0), hp, params)
    run = jax.jit(experiment.chunk.run)
    return lambda: run(state, hp, (), params, jnp.float32(8), jnp.int32(1))


def exact() -> Callable[[], Any]:
    """Both measures of ten thousand pairs of policies."""
    game = jnp.asarray(random_game(10).advantage, jnp.float32)
    one, other = jax.random.dirichlet(random.key(0), jnp.ones(10, jnp.float32), (2, POLICIES))
    both = lambda p, q: (exploitability(game, p), duality_gap(game, p, q))
    go = jax.jit(jax.vmap(both))
    return lambda: go(one, other)


PARTS: dict[str, Callable[[], dict[str, Callable[[], Any]]]] = {
    "pairs": lambda: {f"all pairs of {n:,}": all_pairs(n) for n in SIZES},
    "update": lambda: {
        "SPO-PPO": one_update("spo"),
        "PPO": one_update("ppo"),
        f"all pairs of {N:,}": all_pairs(N),
    },
    "exact": lambda: {f"exploitability and gap of {POLICIES:,} pairs": exact()},
}


def markdown(rows: list[dict[str, str]]) -> str:
    """The table, of stored rows alone."""
    time_of = {(row["part"], row["what"]): float(row["median_ms"]) for row in rows}
    lines = [
        [r["part"], r["what"], f"{float(r['median_ms']):.3g}", f"{float(r['min_ms']):.3g} to {float(r['max_ms']):.3g}", r["repeats"], r["date"]]
        for r in rows
    ]  # fmt: skip
    parts = [
        "# What comparisons cost",
        markdown_table(["", "", "Median, ms", "Range", "Repeats", "Date"], lines),
    ]
    if ("update", "SPO-PPO") in time_of:
        spo, ppo = time_of["update", "SPO-PPO"], time_of["update", "PPO"]
        share = time_of["update", f"all pairs of {N:,}"] / spo
        parts.append(
            f"Updates are of one run on {ENV}, {N:,} environments, {LENGTH} steps, 4 passes of 32 minibatches, all parts in turn. SPO-PPO takes {spo / ppo:.3f} times "
            f"as long as PPO (bar 1.15), and all pairs of {N:,} episodes are {share:.2%} of it (bar 5 %)."
        )
    made = "; ".join(sorted({row["hardware"] for row in rows}))
    parts += [f"Hardware: `{made}`.", "Command: `python benchmarks/preference_speed.py`."]
    return "\n\n".join(parts) + "\n"


def main(words: list[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(words)
    args.results.mkdir(parents=True, exist_ok=True)
    if unknown := [part for part in args.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}")
    jaxrl_evolve.use_compilation_cache()
    path = args.results / "preference_speed.csv"
    there: list[dict[str, Any]] = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            there = list(csv.DictReader(file))
    for part in args.parts or PARTS:
        repeats = min(args.repeats, 5) if part == "update" else args.repeats
        made = provenance()
        about = [repeats, hardware(made["device"]), datetime.date.today(), (made["git"] or {}).get("commit")]
        there = [row for row in there if row["part"] != part]
        for what, times in timed(PARTS[part](), repeats).items():
            numbers = [round(x, 4) for x in (statistics.median(times), min(times), max(times))]
            there.append(dict(zip(COLUMNS, [part, what, *numbers, *about], strict=True)))
            print(part, what, *numbers, flush=True)
    there.sort(key=lambda row: [*PARTS].index(row["part"]))
    path.write_text(csv_text(COLUMNS, [[row[name] for name in COLUMNS] for row in there]))
    with open(path, newline="", encoding="utf-8") as file:
        path.with_suffix(".md").write_text(markdown(list(csv.DictReader(file))))


if __name__ == "__main__":
    main()
