"""What bandits over tasks lose against the best arm, where that is known.

    python benchmarks/bandits.py [--seeds 100] [--table]

writes ``benchmarks/results/bandits.csv`` (a row for each method and problem) and ``bandits.md``, made from these rows; ``--table`` makes the
latter alone. No number was tuned: methods run as they come by the command, but for the options that the table names.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import functools
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jaxrl_evolve  # isort: skip  # noqa: F401  (chooses XLA's flags before jax starts)
import jax
import jax.numpy as jnp
import numpy as np
from learning import RESULTS, hardware

from jaxrl_evolve import random
from jaxrl_evolve.compilation import use_compilation_cache
from jaxrl_evolve.curricula.arms.arms import stacked_arms
from jaxrl_evolve.curricula.arms.bandit import draw
from jaxrl_evolve.curricula.arms.curriculum import Setup, feedback_of, seated
from jaxrl_evolve.curricula.arms.table import METHODS, bandit_of
from jaxrl_evolve.curricula.signals import SIGNALS
from jaxrl_evolve.results.statistics import estimate, mean
from jaxrl_evolve.storage.provenance import provenance

ARMS = 10
ROWS = RESULTS / "bandits.csv"


class Problem(NamedTuple):
    """Arms whose shares of successes are known at every update.

    Attributes:
        summary: what happens.
        success: float32 ``[updates, arms]``.
        draws: of an update.
        learning: whether an arm is worth ``p (1 - p)``; else ``p``.
    """

    summary: str
    success: np.ndarray
    draws: int
    learning: bool

    @property
    def worth(self) -> np.ndarray:
        """Of every arm at every update."""
        return self.success * (1.0 - self.success) if self.learning else self.success


def _able(skill: np.ndarray) -> np.ndarray:
    """Shares of successes of an agent of this skill on tasks from difficulty 0 to 1."""
    return 1.0 / (1.0 + np.exp(-12.0 * (skill[:, None] - np.linspace(0.0, 1.0, ARMS))))


def problems() -> dict[str, Problem]:
    """Three of rewards, one draw at a time, and four of learning, 32 at a time."""
    steps, updates = 2_000, 300
    means, t = np.linspace(0.1, 0.9, ARMS), np.arange(steps)
    fixed = np.tile(means, (steps, 1))
    halves = np.where((t < steps // 2)[:, None], fixed, fixed[:, ::-1])
    waves = 0.5 + 0.4 * np.sin(2 * np.pi * (t[:, None] / 1_000 + np.arange(ARMS) / ARMS))
    now, then = np.full(updates, 0.3), np.linspace(-0.1, 1.1, updates)
    hopeless = _able(then) * (np.arange(ARMS) % 2 == 0)
    jump = np.where(np.arange(updates) < updates // 2, 0.2, 0.8)
    return {
        "stationary": Problem("means from 0.1 to 0.9", fixed, 1, False),
        "switch": Problem("their order turns round halfway", halves, 1, False),
        "waves": Problem("sines of one period in 1,000 draws, one behind the other", waves, 1, False),
        "plateau": Problem("an agent of skill 0.3 that learns nothing", _able(now), 32, True),
        "leap": Problem("its skill leaps from 0.2 to 0.8 halfway", _able(jump), 32, True),
        "learner": Problem("its skill rises from -0.1 to 1.1", _able(then), 32, True),
        "hopeless": Problem("the same, but every second arm cannot be solved", hopeless, 32, True),
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "sec": {"temperature": 0.1, "floor": 0.05},
    "sec-code": {"temperature": 0.1, "floor": 0.05},
    "exp3s": {"step": 0.05, "rescale": False},
    "discounted-ucb": {"temperature": 0.0, "bonus": 0.5, "discount": 0.99},
    "window-ucb": {"temperature": 0.0, "bonus": 0.5},
    "thompson": {"worth": "success", "discount": 0.99},
    "thompson-gaussian": {"discount": 0.99},
}
"""Options where an arm is worth its reward: a temperature for rewards up to 1, and evidence that lasts for a hundred draws."""
OF_REWARD = (
    "uniform",
    "sec",
    "sec-code",
    "dump",
    "exp3s",
    "discounted-ucb",
    "window-ucb",
    "thompson",
    "thompson-gaussian",
)


def lost(name: str, draws: int, learning: bool, key: Any, success: Any, worth: Any) -> Any:
    """Mean regret of a draw against the best arm of every update, float32 scalar."""
    bandit, hp = bandit_of(name, {} if learning else OPTIONS.get(name, {}))
    method = METHODS[name]
    usual = "success" if method.successes else method.signal if learning else "return"
    signal = SIGNALS["rloo" if SIGNALS[usual].critic else usual]  # there is no critic here
    arms = stacked_arms(jnp.arange(ARMS))
    everyone = jnp.ones(ARMS, bool)
    setup = Setup(arms, bandit, hp, signal, lambda lived: lived, everyone)

    def update(state: Any, x: Any) -> Any:
        p, worth, k = x
        keys = jax.random.split(k, 3)
        arm = draw(bandit, keys[0], state.bandit, everyone, hp, draws)
        won = jax.random.uniform(keys[1], arm.shape) < p[arm]
        by_arm = lambda x: jnp.zeros(ARMS, jnp.float32).at[arm].add(x.astype(jnp.float32))
        n, k = by_arm(jnp.ones_like(won)), by_arm(won)
        sums = {
            "episodes": n,
            "successes": k,
            "returns": k,
            "lengths": n,
            "before": state.before,
            "seen": state.seen,
        }
        sums |= {"best": (k > 0).astype(jnp.float32), "worst": (k == n).astype(jnp.float32)}
        feedback, state = feedback_of(setup, state, sums, everyone)
        state = state.replace(bandit=bandit.update(keys[2], state.bandit, feedback, hp))
        return state, worth.max() - worth[arm].mean()

    start, key = jax.random.split(key)
    keys = jax.random.split(key, len(success))
    return jax.lax.scan(update, seated(setup).init(start), (success, worth, keys))[1].mean()


@functools.cache
def program(name: str, draws: int, learning: bool) -> Any:
    """The same for many seeds, compiled once for all problems of one kind."""
    return jax.jit(jax.vmap(partial(lost, name, draws, learning), (0, None, None)))


def measure(seeds: int) -> list[dict[str, Any]]:
    """Every method on every problem that is its own."""
    keys = jax.vmap(partial(jax.random.fold_in, random.key(0)))(jnp.arange(seeds))
    made = {"hardware": hardware(provenance()["device"]), "date": str(datetime.date.today())}
    rows = []
    for title, problem in problems().items():
        for name in METHODS if problem.learning else OF_REWARD:
            began = time.perf_counter()
            traces = (jnp.asarray(x, jnp.float32) for x in (problem.success, problem.worth))
            found = np.asarray(program(name, problem.draws, problem.learning)(keys, *traces))
            interval = estimate(found, mean)
            numbers = {
                "regret": interval.value,
                "low": interval.low,
                "high": interval.high,
                "worst": found.max(),
            }
            rows.append(
                {"problem": title, "method": name, "seeds": seeds}
                | {k: f"{x:.5f}" for k, x in numbers.items()}
                | made
            )
            print(f"{title} {name} {found.mean():.4f} in {time.perf_counter() - began:.1f} s", flush=True)
    return rows


def table(rows: list[Mapping[str, str]]) -> str:
    """Markdown of the rows."""
    known = problems()
    parts = [
        "# Bandits over tasks",
        f"Ten arms whose shares of successes $p$ are known at every moment. What a draw loses on average against the arm that is best just then, "
        f"with its 95 % bootstrap interval over {rows[0]['seeds']} seeds. No number was tuned.",
    ]
    for learning, told in ((False, "## An arm is worth $p$"), (True, "## An arm is worth $p (1 - p)$")):
        chosen = {title: problem for title, problem in known.items() if problem.learning == learning}
        about = "; ".join(f"`{title}`: {problem.summary}" for title, problem in chosen.items())
        draws = next(iter(chosen.values())).draws
        parts += [told, f"{draws} draw{'s' if draws > 1 else ''} an update. {about}."]
        if not learning:
            parts.append(
                "Options other than those that come with a method: "
                + "; ".join(f"`{name}` {_said(o)}" for name, o in OPTIONS.items())
                + "."
            )
        else:
            parts.append(
                "Options as they come. There is no critic, so SEC, DUMP and Thompson sampling of a mean learn from RLOO's |A|."
            )
        lines = [["best fixed arm", *(f"{_fixed(problem):.3f}" for problem in chosen.values())]]
        for name in dict.fromkeys(row["method"] for row in rows if row["problem"] in chosen):
            cells = {row["problem"]: row for row in rows if row["method"] == name}
            lines.append([f"`{name}`", *(_cell(cells.get(title)) for title in chosen)])
        head = ["Method", *chosen]
        parts.append(
            "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] + ["---:"] * len(chosen), *lines))
        )
    told = lambda key: "; ".join(dict.fromkeys(row[key] for row in rows))
    parts.append(f"Hardware: `{told('hardware')}`; nothing here depends on time. Date: {told('date')}.")
    parts.append("Command: `python benchmarks/bandits.py`.")
    return "\n\n".join(parts) + "\n"


def _said(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _fixed(problem: Problem) -> float:
    """What the best single arm of all loses, in closed form."""
    worth = problem.worth
    return float((worth.max(1)[:, None] - worth).mean(0).min())


def _cell(row: Mapping[str, str] | None) -> str:
    if row is None:
        return "–"
    return f"{float(row['regret']):.3f} [{float(row['low']):.3f}, {float(row['high']):.3f}]"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    use_compilation_cache()
    if not arguments.table:
        rows = measure(arguments.seeds)
        with ROWS.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    with ROWS.open() as file:
        (RESULTS / "bandits.md").write_text(table(list(csv.DictReader(file))))


if __name__ == "__main__":
    main()
