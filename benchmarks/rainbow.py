"""What a training of action values costs beside its gradients alone, and seeds side by side beside seeds in turn.

    python benchmarks/rainbow.py [--repeats N]

writes ``benchmarks/results/rainbow.md`` and ``.csv``. The whole loop acts, steps the environment, writes, draws, learns and sets
priorities, through the chunk that training compiles; the limit is the same loss with its targets and its gradient in a loop on
batches that lie ready. Seeds are whole trainings by `train`, without compilation. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from learning import RESULTS, hardware

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_envs import make
from jaxrl_envs.vector import vectorize
from jaxrl_evolve import TrainConfig, make_chunk, random
from jaxrl_evolve.algorithms.table import find_algorithm
from jaxrl_evolve.experience.n_step import n_step
from jaxrl_evolve.experience.replay import draw
from jaxrl_evolve.learners.rainbow_loss import horizon_of_returns, loss_of, targets_of
from jaxrl_evolve.storage.provenance import provenance
from jaxrl_evolve.training.config import EvaluationConfig
from jaxrl_evolve.training.experiment import traced
from jaxrl_evolve.training.train import train

ENV, PRESETS = "Breakout-MinAtar", ("dqn", "rainbow", "spr")
COLUMNS = ("preset", "measure", "median", "min", "max")
UPDATES, STEPS, SEEDS = 200, 2_600, 8


def timed(run: Callable[[Any], Any], state: Any, repeats: int) -> list[float]:
    """Seconds of calls in a row, each of the state that the last one left."""
    state, found = run(state), []
    for _ in range(repeats):
        jax.block_until_ready(state)
        began = time.perf_counter()
        state = jax.block_until_ready(run(state))
        found.append(time.perf_counter() - began)
    return found


def loop_and_limit(name: str, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of a gradient step: of the whole loop, and of its gradient alone."""
    algorithm, env = find_algorithm(name), make(ENV)
    preset = algorithm.preset(ENV)
    config = replace(preset.config, warm_up=512, capacity=20_000)
    learner = algorithm.make(env, preset.num_envs, preset.rollout_length, config, preset.hp, None)
    chunk = make_chunk(learner, vectorize(env, preset.num_envs), preset.rollout_length)
    hp, horizon = traced(preset.hp), jnp.float32(1e6)
    state = jax.jit(chunk.init)(random.key(0), hp, env.params)
    go = jax.jit(chunk.run, donate_argnums=0)
    state, _ = go(state, hp, (), env.params, horizon, jnp.int32(1_000))
    update: Any = learner.update
    parts, steps = update.args[0], config.gradient_steps * UPDATES
    draws = jax.vmap(lambda key: draw(parts.layout, key, state.store, config.batch).window)
    windows = jax.jit(draws)(jax.random.split(random.key(1), 16))

    def limit(learned: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            window = jax.tree.map(lambda x: x[i % 16], windows)
            key = jax.random.fold_in(random.key(2), i)
            length, gamma = horizon_of_returns(hp, learned.since)
            targets = targets_of(
                parts, key, learned.params, learned.target, window, n_step(window, length, gamma)
            )
            weight = jnp.ones(config.batch)
            loss = lambda params: loss_of(parts, key, params, window, targets, weight, hp.prediction_coef)[0]
            # A step of next to no length: nothing can be computed once for all.
            return jax.tree.map(lambda p, g: p - 1e-9 * g, carry, jax.grad(loss)(carry))

        return replace(learned, params=jax.lax.fori_loop(0, steps, body, learned.params))

    alone = timed(jax.jit(limit), jax.tree.map(jnp.copy, state.learner), repeats)
    whole = timed(lambda state: go(state, hp, (), env.params, horizon, jnp.int32(UPDATES))[0], state, repeats)
    per_step = lambda seconds: [1e3 * x / steps for x in seconds]
    return {"loop_ms": per_step(whole), "gradient_ms": per_step(alone)}


def seeds_together(name: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of trainings of one seed and of eight."""
    evaluation = EvaluationConfig(times=1, episodes=1, final_episodes=1, max_steps=10)
    found: dict[str, list[float]] = {}
    for seeds in (1, SEEDS):
        config = TrainConfig.preset(name, ENV, steps=STEPS, seeds=seeds, evaluation=evaluation)
        config = replace(config, rows=1, checkpoints=1)
        found[f"seconds_of_{seeds}"] = [train(config).summary["run_seconds"] for _ in range(repeats)]
    return found


def markdown(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The table for readers."""
    value = {(row["preset"], row["measure"]): row["median"] for row in rows}
    lines = [
        "# Training of action values",
        "",
        f"{ENV}, presets as they are; medians. A gradient step of the whole loop beside the gradient of its loss alone on batches that lie ready, milliseconds; and whole "
        f"trainings of {STEPS:,} steps, {SEEDS} seeds side by side beside as many in turn, seconds without compilation.",
        "",
        "| preset | loop | gradient alone | ratio | one seed | eight seeds | ratio to eight in turn |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in PRESETS:
        loop, alone, one, many = (
            value[name, m] for m in ("loop_ms", "gradient_ms", "seconds_of_1", f"seconds_of_{SEEDS}")
        )
        lines.append(
            f"| {name} | {loop:.2f} | {alone:.2f} | {loop / alone:.2f} | {one:.1f} | {many:.1f} | {many / (SEEDS * one):.2f} |"
        )
    names = ("hardware", "versions", "date", "commit", "command")
    return "\n".join([*lines, "", *(f"{name.capitalize()}: `{about[name]}`." for name in names), ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows, origin = [], provenance()
    for name in PRESETS:
        measured = {**loop_and_limit(name, args.repeats), **seeds_together(name, 1)}
        for measure, values in measured.items():
            values = sorted(round(x, 4) for x in values)
            rows.append(
                dict(
                    zip(
                        COLUMNS, (name, measure, values[len(values) // 2], values[0], values[-1]), strict=True
                    )
                )
            )
            print(rows[-1], flush=True)
    about = {
        "hardware": hardware(origin["device"]),
        "versions": " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib")),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": (origin["git"] or {}).get("commit"),
        "command": "python benchmarks/rainbow.py",
    }
    with open(args.results / "rainbow.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    (args.results / "rainbow.md").write_text(markdown(rows, about), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
