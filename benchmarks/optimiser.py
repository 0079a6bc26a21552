"""What it costs to step parameters in a row or leaf by leaf, in whole updates of agents from replay.

    python benchmarks/optimiser.py [--repeats N]

writes ``benchmarks/results/optimiser.md`` and ``.csv``: microseconds of a gradient step with all that an update does besides, both layouts in turn. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
from pathlib import Path
from typing import Any

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from learning import RESULTS, hardware  # noqa: E402
from timing import Timed, in_turn, ratio_of_neighbours  # noqa: E402

from jaxrl_evolve import TrainConfig, random  # noqa: E402
from jaxrl_evolve.learners import optimiser  # noqa: E402
from jaxrl_evolve.results.report.text import csv_text, markdown_table  # noqa: E402
from jaxrl_evolve.storage.folder import write_text  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402
from jaxrl_evolve.training.experiment import build, traced  # noqa: E402

CASES = (
    ("dqn", "CartPole-v1", 100),
    ("dqn", "Catch-bsuite", 100),
    ("dqn", "Breakout-MinAtar", 20),
    ("rainbow", "Breakout-MinAtar", 100),
    ("sac", "Pendulum-v1", 200),
)
"""Agent, environment, updates of one timing."""
LAYOUTS = {"in a row": 2**62, "leaf by leaf": 0}
"""Up to how many parameters are put into a row."""
DEFAULT = optimiser.IN_A_ROW
COLUMNS = ("agent", "env", "parameters", *LAYOUTS, "ratio", "low", "high", "repeats", "hardware", "versions", "date", "commit")  # fmt: skip


def programs(agent: str, env: str, updates: int) -> tuple[dict[str, Timed], int, int]:
    """Both layouts of an agent beyond its warm-up, how many parameters they step, and gradient steps of a timing."""
    found: dict[str, Timed] = {}
    config = TrainConfig.preset(agent, env, steps=10_000_000)
    horizon, warm_up = jnp.float32(config.updates), 2_000 // (config.num_envs * config.rollout_length) + 1
    size = 0
    for name, optimiser.IN_A_ROW in LAYOUTS.items():
        experiment = build(config)
        params, hp = experiment.env.params, traced(config.hp)
        state = jax.jit(experiment.chunk.init)(random.key(0), hp, params)
        size = sum(x.size for x in jax.tree.leaves(experiment.learner.actor(state.learner)))
        go = jax.jit(experiment.chunk.run, donate_argnums=0)
        state = go(state, hp, (), params, horizon, jnp.int32(warm_up))[0]
        run = lambda state, go=go, hp=hp, params=params: go(
            state, hp, (), params, horizon, jnp.int32(updates)
        )[0]
        state = run(state)  # compiled while the layout is this one
        found[name] = Timed(run, state)
    return found, size, updates * config.learner.gradient_steps


def row_of(agent: str, env: str, updates: int, repeats: int) -> dict[str, Any]:
    """Medians in microseconds, and the ratio of neighbours in time with its 95 % bootstrap interval."""
    both, size, steps = programs(agent, env, updates)
    seconds = {name: np.asarray(x) for name, x in in_turn(both, repeats).items()}
    row, leaf = (seconds[name] for name in LAYOUTS)
    middle, low, high = ratio_of_neighbours(row, leaf)
    micro = {name: f"{1e6 * np.median(x) / steps:.0f}" for name, x in seconds.items()}
    ratio = {"ratio": f"{middle:.2f}", "low": f"{low:.2f}", "high": f"{high:.2f}"}
    return {"agent": agent, "env": env, "parameters": size, **micro, **ratio, "repeats": repeats}


def markdown(rows: list[dict[str, str]]) -> str:
    """The table for readers."""
    lines = [
        [f"{r['agent']} on {r['env']}", f"{int(r['parameters']):,}", *(r[x] for x in LAYOUTS), f"{r['ratio']} [{r['low']}, {r['high']}]"]
        for r in rows
    ]  # fmt: skip
    told = {name: "; ".join(sorted({row[name] for row in rows})) for name in COLUMNS[-4:]}
    parts = [
        "# Parameters in a row or leaf by leaf",
        "Microseconds of a gradient step of the actor's network and all that an update does besides, medians; the ratio is that of neighbours in time, with its "
        f"95 % bootstrap interval over {rows[0]['repeats']} turns. By default up to {DEFAULT:,} parameters are put in a row.",
        markdown_table(["agent", "parameters of the actor", *(f"{x}, µs" for x in LAYOUTS), "row / leaf"], lines),
        *(f"{name.capitalize()}: `{x}`." for name, x in told.items()),
        "Command: `python benchmarks/optimiser.py`.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    made = provenance()
    versions = " ".join(f"{name}={made['versions'][name]}" for name in ("python", "jax", "jaxlib"))
    about = (
        hardware(made["device"]),
        versions,
        datetime.date.today(),
        (made["git"] or {}).get("commit"),
    )
    rows = []
    for case in CASES:
        rows.append({**row_of(*case, given.repeats), **dict(zip(COLUMNS[-4:], about, strict=True))})
        print(*(rows[-1][name] for name in COLUMNS[:8]), flush=True)
    path = given.results / "optimiser.csv"
    write_text(path, csv_text(COLUMNS, [[row[name] for name in COLUMNS] for row in rows]))
    write_text(
        path.with_suffix(".md"), markdown(list(csv.DictReader(path.open(newline="", encoding="utf-8"))))
    )


if __name__ == "__main__":
    sys.exit(main())
