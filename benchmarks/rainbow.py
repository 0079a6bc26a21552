"""What a training of action values costs beside its gradients alone, seeds side by side beside seeds in turn, and a game of Atari.

    python benchmarks/rainbow.py [--repeats N] [--cases CASE ...]
    python benchmarks/rainbow.py --table   # the page of the rows that are there, without measuring

writes ``benchmarks/results/rainbow.md`` and ``.csv``; measuring some cases leaves the rows of the others. The whole loop acts, steps the environment, writes, draws, learns
and sets priorities, through the chunk that training compiles. Two things stand beside it, each in turn with it: the environment alone, by the same number of steps of random
actions; and the limit, the same loss with its targets and its gradient in a loop on batches that lie ready. Seeds are whole trainings by `train` on all cores, as
the command runs them, without compilation. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jaxrl_evolve  # noqa: F401  (chooses XLA's flags before jax starts)
from jaxrl_evolve._cpu import use_all_cores

use_all_cores()  # as the command does

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from learning import RESULTS, hardware  # noqa: E402
from timing import Timed, in_turn  # noqa: E402

from jaxrl_envs.vector import vectorize  # noqa: E402
from jaxrl_evolve import TrainConfig, make_chunk, random  # noqa: E402
from jaxrl_evolve.algorithms.table import find_algorithm  # noqa: E402
from jaxrl_evolve.experience.n_step import n_step  # noqa: E402
from jaxrl_evolve.experience.replay import draw  # noqa: E402
from jaxrl_evolve.learners.rainbow_loss import horizon_of_returns, loss_of, targets_of  # noqa: E402
from jaxrl_evolve.storage.provenance import provenance  # noqa: E402
from jaxrl_evolve.training.config import EvaluationConfig  # noqa: E402
from jaxrl_evolve.training.experiment import build, traced  # noqa: E402
from jaxrl_evolve.training.train import train  # noqa: E402

BOARDS, FRAMES = "Breakout-MinAtar", "atari/Pong"
SEEDS, STEPS = 8, 400
WARM_UP, CAPACITY = {BOARDS: 512, FRAMES: 64}, {BOARDS: 20_000, FRAMES: 1_000}
"""Of what is timed: seeds side by side, gradient steps of each, environment steps before it learns, those that the buffer holds."""


class Case(NamedTuple):
    """An agent in an environment.

    Attributes:
        env: the environment.
        preset: the agent.
        steps: gradient steps of one timing.
    """

    env: str
    preset: str
    steps: int

    @property
    def name(self) -> str:
        return f"{self.preset} on {self.env}"


CASES = {
    case.name: case
    for case in (
        *(Case(BOARDS, preset, STEPS) for preset in ("dqn", "rainbow", "spr")),
        *(Case(FRAMES, preset, 8) for preset in ("rainbow", "spr")),
    )
}
COMMAND = "python benchmarks/rainbow.py"
COLUMNS = ("case", "measure", "median", "min", "max", "hardware", "versions", "date", "commit")


def settings(case: Case, seeds: int = 1) -> TrainConfig[Any, Any]:
    """A training of `STEPS` gradient steps after the warm-up."""
    preset = find_algorithm(case.preset).preset(case.env)
    each = preset.num_envs * preset.rollout_length
    updates = -(-case.steps // preset.config.gradient_steps)
    warm_up = WARM_UP[case.env]
    config = TrainConfig.preset(
        case.preset,
        case.env,
        steps=-(-warm_up // each) * each + updates * each,
        seeds=seeds,
        evaluation=EvaluationConfig(times=1, episodes=1, final_episodes=1, max_steps=10),
    )
    learner = replace(config.learner, warm_up=warm_up, capacity=CAPACITY[case.env])
    return replace(config, rows=1, checkpoints=1, learner=learner)


def loop_and_limit(case: Case, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of a gradient step: of the whole loop, of the environment's steps in it, and of its gradient alone."""
    config = settings(case)
    env, learner, *_ = build(config)
    venv = vectorize(env, config.num_envs)
    chunk = make_chunk(learner, venv, config.rollout_length)
    hp, horizon = traced(config.hp), jnp.float32(1e6)
    state = jax.jit(chunk.init)(random.key(0), hp, env.params)
    go = jax.jit(chunk.run, donate_argnums=0)
    updates = -(-case.steps // config.learner.gradient_steps)
    steps = updates * config.learner.gradient_steps
    loop = lambda state, n=updates: go(state, hp, (), env.params, horizon, jnp.int32(n))[0]
    state = loop(state, config.updates - updates + 20)  # beyond the warm-up
    update: Any = learner.update
    parts, batch = update.args[0], config.learner.batch
    draws = jax.vmap(lambda key: draw(parts.layout, key, state.store, batch).window)
    windows = jax.jit(draws)(jax.random.split(random.key(1), 8))

    def limit(learned: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            window = jax.tree.map(lambda x: x[i % 8], windows)
            key = jax.random.fold_in(random.key(2), i)
            length, gamma = horizon_of_returns(hp, learned.since)
            targets = targets_of(
                parts, key, learned.params, learned.target, window, n_step(window, length, gamma)
            )
            loss = lambda params: loss_of(
                parts, key, params, window, targets, jnp.ones(batch), hp.prediction_coef
            )[0]
            value, gradient = jax.value_and_grad(loss)(carry)
            # A step of next to no length: nothing can be computed once for all.
            return jax.tree.map(lambda p, g: p - 1e-9 * value * g, carry, gradient)

        return replace(learned, params=jax.lax.fori_loop(0, steps, body, learned.params))

    def play(envs: Any) -> Any:
        def body(i: Any, envs: Any) -> Any:
            key = jax.random.fold_in(random.key(3), i)
            action = jax.random.randint(key, (config.num_envs,), 0, env.action_space.n, jnp.int32)
            return venv.step(key, envs, action, env.params)[0]

        return jax.lax.fori_loop(0, updates * config.rollout_length, body, envs)

    found = in_turn(
        {
            "loop_ms": Timed(loop, state),
            "gradient_ms": Timed(jax.jit(limit), jax.tree.map(jnp.copy, state.learner)),
            "environment_ms": Timed(jax.jit(play), jax.tree.map(jnp.copy, state.envs)),
        },
        repeats,
    )
    return {name: [1e3 * x / steps for x in seconds] for name, seconds in found.items()}


def seeds_together(case: Case, repeats: int) -> dict[str, list[float]]:
    """Seconds of trainings of one seed and of eight, in turn."""
    found: dict[str, list[float]] = {f"seconds_of_{seeds}": [] for seeds in (1, SEEDS)}
    for _ in range(repeats):
        for seeds in (1, SEEDS):
            result = train(settings(case, seeds))
            found[f"seconds_of_{seeds}"].append(result.summary["run_seconds"])
    return found


def size_of_store(case: Case) -> float:
    """Megabytes that the buffer of the preset as it is takes."""
    config = TrainConfig.preset(case.preset, case.env, steps=100_000)
    experiment = build(config)
    shapes = jax.eval_shape(
        experiment.chunk.init, random.key(0), traced(config.hp), experiment.env.params
    ).store
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes)) / 1e6


def measure(case: Case, repeats: int) -> dict[str, list[float]]:
    """All there is of a case, by measure."""
    found = loop_and_limit(case, repeats) | {"store_mb": [size_of_store(case)]}
    return found | seeds_together(case, 2) if case.env == BOARDS else found


def markdown(rows: Sequence[Mapping[str, Any]], command: str) -> str:
    """The table for readers."""
    value = {(row["case"], row["measure"]): float(row["median"]) for row in rows}
    there = [case for case in CASES.values() if (case.name, "loop_ms") in value]
    lines = [
        "# Training of action values",
        "",
        f"Milliseconds of a gradient step, medians, presets as they are but for a buffer of {CAPACITY[BOARDS]:,} steps on boards and {CAPACITY[FRAMES]:,} on Atari's frames and a warm-up of "
        f"{WARM_UP[BOARDS]} and {WARM_UP[FRAMES]}: of the whole loop (act, step, write, draw, learn, priorities), of the environment's steps in it alone, and of the "
        "value and gradient of the same loss alone on batches that lie ready. The ratio is that of the loop without the environment to the gradient.",
        "",
        "| agent | loop | environment | gradient | ratio |",
        "|---|--:|--:|--:|--:|",
    ]
    for case in there:
        loop, gradient, env = (value[case.name, m] for m in ("loop_ms", "gradient_ms", "environment_ms"))
        lines.append(
            f"| {case.name} | {loop:.3g} | {env:.3g} | {gradient:.3g} | {(loop - env) / gradient:.2f} |"
        )
    lines += [
        "",
        f"Whole trainings of {STEPS} gradient steps, {SEEDS} seeds side by side beside as many in turn, on all cores, seconds without compilation, medians of two:",
        "",
        "| agent | one seed | eight seeds | ratio to eight in turn |",
        "|---|--:|--:|--:|",
    ]
    for case in there:
        if (case.name, "seconds_of_1") in value:
            one, many = value[case.name, "seconds_of_1"], value[case.name, f"seconds_of_{SEEDS}"]
            lines.append(f"| {case.name} | {one:.2f} | {many:.2f} | {many / (SEEDS * one):.2f} |")
    lines += [
        "",
        "One seed of 100,000 environment steps, evaluation and compilation apart, from the loop above; the buffer is that of the preset as it is:",
        "",
        "| agent | seconds of a step | hours of a game | MB of the buffer |",
        "|---|--:|--:|--:|",
    ]
    for case in there:
        preset = find_algorithm(case.preset).preset(case.env)
        ratio = preset.config.gradient_steps / (preset.num_envs * preset.rollout_length)
        step = value[case.name, "loop_ms"] * ratio / 1e3
        lines.append(
            f"| {case.name} | {step:.3g} | {step * 1e5 / 3600:.3g} | {value[case.name, 'store_mb']:.0f} |"
        )
    for name in ("hardware", "versions", "date", "commit"):
        told = dict.fromkeys(str(row[name]) for row in rows)
        lines += ["", f"{name.capitalize()}: " + "; ".join(f"`{x}`" for x in told) + "."]
    return "\n".join([*lines, "", f"Command: `{command}`.", ""])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--table", action="store_true", help="write the page of the rows that are there")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(words)
    args.results.mkdir(parents=True, exist_ok=True)
    origin, path, rows = provenance(), args.results / "rainbow.csv", list[dict[str, Any]]()
    about = (
        hardware(origin["device"]),
        " ".join(f"{name}={origin['versions'][name]}" for name in ("python", "jax", "jaxlib", "ale-py")),
        datetime.datetime.now(datetime.UTC).date().isoformat(),
        (origin["git"] or {}).get("commit"),
    )
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    written = lambda: path.with_suffix(".md").write_text(markdown(rows, COMMAND), encoding="utf-8")
    if args.table:
        if not rows:
            raise SystemExit(f"{path} has no rows: {COMMAND} measures them")
        written()
        return
    for name in args.cases:
        found = measure(CASES[name], args.repeats)
        rows = [row for row in rows if row["case"] != name]
        for what, values in found.items():
            values = sorted(round(x, 4) for x in values)
            three = (round(statistics.median(values), 4), values[0], values[-1])
            rows.append(dict(zip(COLUMNS, (name, what, *three, *about), strict=True)))
            print(*(rows[-1][column] for column in COLUMNS[:5]), flush=True)
        rows.sort(key=lambda row: list(CASES).index(row["case"]))
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        written()


if __name__ == "__main__":
    sys.exit(main())
