"""What does it gain to choose by the horizon? Written algorithms with the best of ten schedules of each horizon against one for all.

    python benchmarks/value_of_time.py run [--only TASK ...] [--envs N ...] [--seeds N] [--store FOLDER]
    python benchmarks/value_of_time.py table [--store FOLDER] [--results FOLDER]

``run`` lets agents live: on each task, at several numbers of environments, for every horizon, with every step size, held
constant or annealed to zero, all on the same seeds. Each cell (a task, a number of environments and a horizon) is a
file of the store, ``benchmarks/results/value_of_time``, that holds the return of every single life; cells that are there
are left alone. ``table`` makes ``benchmarks/results/value_of_time.md`` and ``.csv`` of the store and nothing else.

The question is decided on other seeds than the choice: even seeds choose for odd ones, and odd ones for even ones. A
candidate is as good as the share of the others at its horizon that it beats on the same seed, so that no horizon or level
counts for more because its returns are larger. The value of time is the probability that the best schedule and step size of
each horizon beat the best single constant step size, on the same seed, over all horizons; ties count half. That is
what the best of ten schedules (five step sizes, each constant or on a line to zero) gained, and no bound on what a clock could gain: other schedules
are not among them, and since it was chosen on other seeds than it is judged on, it may lie below 0.5, where a maximum could not. A task is worth a
study of clocks from 0.65 on.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve._cpu import use_all_cores
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.files import write_whole
from jaxrl_evolve.meta_test import MetaTestConfig, TuningConfig
from jaxrl_evolve.meta_test.arms import find_arms
from jaxrl_evolve.meta_test.lives import crossed, reshaped
from jaxrl_evolve.meta_test.run import build_stages
from jaxrl_evolve.meta_test.tasks import draw_tasks
from jaxrl_evolve.meta_test.tested import program_of
from jaxrl_evolve.results.meta_seeds import paired_improvement
from jaxrl_evolve.results.report.text import csv_text, markdown_table, number, with_bounds
from jaxrl_evolve.results.statistics import Estimate, iqm
from jaxrl_evolve.storage.provenance import origin
from jaxrl_evolve.training.programs import to_host

RESULTS = Path(__file__).resolve().parent / "results"
SCHEDULES = {"constant": 1.0, "annealed": 0.0}
"""What is left of the step size at the horizon."""
SEED = 7_000
"""Root of the tasks; no other study has it."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A task and the written algorithm that learns on it.

    Attributes:
        env: its name.
        algorithm: "ppo" or "a2c".
        sizes: steps of a rollout by number of environments.
        horizons: updates.
        rates: step sizes.
        max_steps: of an evaluation episode.
    """

    env: str
    algorithm: str = "ppo"
    sizes: Mapping[int, int] = dataclasses.field(default_factory=lambda: {1: 128, 4: 128, 16: 64, 64: 32})
    horizons: tuple[int, ...] = (5, 10, 20, 40, 80)
    rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    max_steps: int = 500


_TABLE: dict[str, Any] = {
    "algorithm": "a2c",
    "sizes": {1: 20, 4: 20, 16: 20, 64: 20},
    "horizons": (10, 25, 50, 100, 250),
    "rates": (0.01, 0.03, 0.1, 0.3, 1.0),
    "max_steps": 1_000,
}
TASKS = {
    "cartpole": Task("CartPole-v1"),
    "acrobot": Task("Acrobot-v1"),
    "fourrooms": Task("FourRooms-misc"),
    "catch": Task("Catch-bsuite"),
    "chain-short": Task("chain/delayed-short"),
    "chain-long": Task("chain/delayed-long"),
    "grid-small": Task("grid/random-small", **_TABLE),
    "grid-all": Task("grid/random-all", **_TABLE),
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """Lives of one horizon.

    Attributes:
        returns: of finished agents, float32 ``[schedules, rates, seeds]``; NaN where one diverged.
        rates: step sizes ``[rates]``.
        facts: what it cost and where it comes from.
    """

    returns: np.ndarray
    rates: np.ndarray
    facts: Mapping[str, Any]


def path_of(store: Path, task: str, envs: int, horizon: int) -> Path:
    """The file of a cell."""
    return store / f"{task}--{envs}--{horizon}.npz"


def save(path: Path, cell: Cell) -> None:
    """Write a cell whole or not at all."""
    content = io.BytesIO()
    facts = np.frombuffer(json.dumps(dict(cell.facts)).encode(), np.uint8)
    np.savez_compressed(content, returns=cell.returns, rates=cell.rates, facts=facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getbuffer())


def load(path: Path) -> Cell:
    """A cell that was written."""
    with np.load(path) as arrays:
        return Cell(arrays["returns"], arrays["rates"], json.loads(arrays["facts"].tobytes()))


def run(store: Path, name: str, task: Task, envs: int, seeds: int, episodes: int = 16) -> None:
    """Every cell of a task at a number of environments that is not there."""
    missing = [n for n in task.horizons if not path_of(store, name, envs, n).exists()]
    if not missing:
        return
    config = MetaTestConfig(
        envs=(task.env,),
        horizons=task.horizons,
        seeds=seeds,
        baselines=(f"{task.algorithm}-constant",),
        num_envs=envs,
        rollout_length=task.sizes[envs],
        tuning=TuningConfig(off=True),
        episodes=episodes,
        max_steps=task.max_steps,
        bins=1,
        seed=SEED,
    )
    (stage,) = build_stages(config, find_arms(config))
    (agents,) = stage.agents
    program, _ = program_of(config, stage, agents)
    tasks = draw_tasks(stage.env, SEED, seeds, "reported")
    hps = [
        dataclasses.replace(agents.hp, learning_rate=rate, learning_rate_end=end)
        for end in SCHEDULES.values()
        for rate in task.rates
    ]
    for horizon in missing:
        began = time.perf_counter()
        lives = []
        for hp in hps:  # one program of all seeds, so that a cell is never half an hour from being saved
            inputs = crossed(tasks.keys(horizon), tasks.params, [hp], 1)
            lives.append(to_host(program(inputs, jnp.int32(horizon))))
        life = reshaped(jax.tree.map(lambda *x: np.concatenate(x), *lives), len(SCHEDULES), len(task.rates))
        steps = horizon * envs * task.sizes[envs] * life.score.size
        facts = {
            "env": task.env,
            "algorithm": task.algorithm,
            "num_envs": envs,
            "rollout_length": task.sizes[envs],
            "horizon": horizon,
            "episodes": episodes,
            "seed": SEED,
            "env_steps": steps,
            "evaluation_steps": int(life.evaluated.sum()),
            "seconds": time.perf_counter() - began,
            "date": str(datetime.date.today()),
            **origin(),
        }
        save(path_of(store, name, envs, horizon), Cell(life.score, np.asarray(task.rates), facts))
        print(f"{name}, {envs} environments, {horizon} updates: {facts['seconds']:.0f} s", flush=True)


@dataclasses.dataclass(frozen=True)
class Value:
    """What time is worth on a task.

    Attributes:
        whole: best schedule and step size of each horizon over the best single constant one.
        length: best constant step size of each horizon, likewise.
        annealed: the best single annealed step size, likewise.
        constant: the single constant step size, chosen on all seeds.
        chosen: schedule and step size of each horizon, likewise.
        scores: IQM of returns at each horizon ``[2, horizons]`` of the constant one and of the best, on the seeds that did
            not choose.
    """

    whole: Estimate
    length: Estimate
    annealed: Estimate
    constant: float
    chosen: tuple[tuple[str, float], ...]
    scores: np.ndarray


def places(returns: np.ndarray) -> np.ndarray:
    """Share of the candidates of a horizon that each beats on the same seed, itself among them: ``[H, schedules, rates]``.

    Args:
        returns: ``[H, schedules, rates, seeds]``, the worst for agents that diverged.
    """
    flat = returns.reshape(len(returns), -1, returns.shape[-1])
    mine, others = flat[:, :, None], flat[:, None]
    return ((mine > others) + 0.5 * (mine == others)).mean((2, 3)).reshape(returns.shape[:-1])


def choices(returns: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of candidates, flat over schedules and rates, at each horizon ``[H]``, for each way to choose."""
    value = places(returns)
    horizons, _, rates = value.shape
    flat = value.reshape(horizons, -1)
    always = lambda index: np.full(horizons, index)
    return {
        "whole": flat.argmax(1),
        "length": value[:, 0].argmax(1),
        "annealed": always(rates + value[:, 1].mean(0).argmax()),
        "constant": always(value[:, 0].mean(0).argmax()),
    }


def value_of(returns: np.ndarray, rates: Sequence[float], resamples: int = 10_000) -> Value:
    """What time is worth, from the returns of lives ``[H, schedules, rates, seeds]``, constant schedules first."""
    filled = np.where(np.isfinite(returns), returns, -np.inf).astype(np.float64)
    seeds, candidates = filled.shape[-1], filled.reshape(len(filled), -1, filled.shape[-1])
    halves = (np.arange(0, seeds, 2), np.arange(1, seeds, 2))
    got = {name: np.empty((seeds, len(filled))) for name in ("whole", "length", "annealed", "constant")}
    for chooses, judges in (halves, halves[::-1]):
        for name, index in choices(filled[..., chooses]).items():
            for h, candidate in enumerate(index):
                got[name][judges, h] = candidates[h, candidate, judges]
    beats = lambda name: paired_improvement(
        got[name][None], got["constant"][None], resamples=resamples, non_finite="worst"
    )
    finally_ = choices(filled)
    named = [(tuple(SCHEDULES)[i // len(rates)], float(rates[i % len(rates)])) for i in finally_["whole"]]
    finite = lambda x: np.where(np.isfinite(x), x, filled[np.isfinite(filled)].min())
    scores = np.stack([[iqm(finite(column)) for column in got[name].T] for name in ("constant", "whole")])
    constant = float(rates[finally_["constant"][0]])
    return Value(beats("whole"), beats("length"), beats("annealed"), constant, tuple(named), scores)


def table(store: Path, results: Path) -> None:
    """Tables from the store alone."""
    lines, rows, spent = [], [], np.zeros(3)
    for name, task in TASKS.items():
        for envs in task.sizes:
            cells = {n: path_of(store, name, envs, n) for n in task.horizons}
            if not all(path.exists() for path in cells.values()):
                continue
            there = [load(path) for path in cells.values()]
            value = value_of(np.stack([cell.returns for cell in there]), there[0].rates)
            spent += np.sum(
                [[cell.facts[k] for k in ("env_steps", "evaluation_steps", "seconds")] for cell in there], 0
            )
            best = ", ".join(
                f"{n}: {rate:g} {schedule}" for n, (schedule, rate) in zip(cells, value.chosen, strict=True)
            )
            returns = ", ".join(
                f"{n}: {number(a)} / {number(b)}" for n, a, b in zip(cells, *value.scores, strict=True)
            )
            size = f"{envs} x {there[0].facts['rollout_length']}"
            estimates = (value.whole, value.length, value.annealed)
            lines.append([task.env, size, *map(with_bounds, estimates), f"{value.constant:g}", best, returns])
            numbers = [x for estimate in estimates for x in estimate]
            rows.append([task.env, envs, there[0].returns.shape[-1], *numbers, value.constant, best, returns])
    if not lines:
        raise SystemExit(f"{store} has no task with all its horizons; run makes them")
    columns = [
        f"{name}{bound}" for name in ("whole", "length", "annealed") for bound in ("", "_low", "_high")
    ]
    header = ["env", "num_envs", "seeds", *columns, "constant", "chosen", "returns"]
    (results / "value_of_time.csv").write_text(csv_text(header, rows), encoding="utf-8")
    (results / "value_of_time.md").write_text(page(lines, rows, spent, store), encoding="utf-8")


def page(
    lines: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]], spent: np.ndarray, store: Path
) -> str:
    """The report as Markdown."""
    facts = load(sorted(store.glob("*.npz"))[0]).facts
    head = ["Environment", "Environments x steps", "Schedule and step size of each horizon"]
    head += ["Step size of each horizon, constant", "One step size, annealed", "One step size, constant"]
    head += ["Best at each horizon", "IQM of returns, constant / best"]
    said = (__doc__ or "").partition("The question is")[2]
    seeds = ", ".join(sorted({str(row[2]) for row in rows}))
    return (
        "# The value of time\n\nThe question is" + said.rstrip() + "\n\n"
        "The first three columns are probabilities to beat the best single constant step size, with 95 % intervals over seeds "
        f"({seeds} of each cell; the choice, made on the other half, is held).\n\n{markdown_table(head, lines)}\n\n"
        f"Budget: {spent[0]:,.0f} environment steps of learning and {spent[1]:,.0f} of evaluation, {spent[2] / 60:,.0f} minutes on "
        f"{facts['cores']} cores ({facts['device']}); jax {facts['jax']}, {facts['date']}. "
        "Command: `python benchmarks/value_of_time.py run`, then `… table`.\n"
    )


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command's words."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["run", "table"])
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--envs", nargs="+", type=int, choices=[1, 4, 16, 64], default=[1, 4, 16, 64])
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--store", type=Path, default=RESULTS / "value_of_time")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Run what is missing, or make the table."""
    given = parse(words)
    given.results.mkdir(parents=True, exist_ok=True)
    if given.action == "table":
        table(given.store, given.results)
        return
    use_all_cores()
    use_compilation_cache()
    for envs in given.envs:  # small ones first: of these the most is known soonest
        for name in given.only:
            run(given.store, name, TASKS[name], envs, given.seeds)


if __name__ == "__main__":
    main()
