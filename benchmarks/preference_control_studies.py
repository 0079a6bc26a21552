"""The studies of ``preference_control.py``: what is trained, and what is measured of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxrl_evolve.preferences.games import populations

SHARES = (0.45, 0.45, 0.10)
"""Of the three groups who judge the sectors; the Minimax Winner ends in these with the shares (0.8, 0.1, 0.1)."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One line of a table.

    Attributes:
        name: how the table calls it.
        algorithm: what is trained.
        changes: of its preset, as `TrainConfig.preset` takes them.
        steps: environment steps per seed.
        bar: what its mean return over seeds must be above, where something was announced.
    """

    name: str
    algorithm: str
    changes: Mapping[str, Any]
    steps: int
    bar: float | None = None

    @property
    def folder(self) -> str:
        """The name of its run's folder."""
        return "".join(c if c.isalnum() or c in ".-" else "_" for c in self.name)


@dataclasses.dataclass(frozen=True)
class Study:
    """A table.

    Attributes:
        title: above it.
        env: where all cells are trained.
        seeds: how many are reported.
        cells: its lines.
        remark: what a reader has to know.
        final_episodes: of the final evaluation, which samples from the policy.
        rows: of metrics.
        measure: ``(result, seed) -> columns`` of the study's own.
        curves: whether learning curves over steps and queries are stored.
        meets: whether what was learned meets in a tournament in the end.
        preference: of that.
    """

    title: str
    env: str
    seeds: int
    cells: tuple[Cell, ...]
    remark: str
    final_episodes: int = 128
    rows: int = 50
    measure: Callable[[Any, int], dict[str, Any]] | None = None
    curves: bool = False
    meets: bool = False
    preference: str = ""


def exploitability_of_shares(shares: Any) -> float:
    """Of a policy that ends in the three sectors with these shares, in advantage units."""
    return float((populations(SHARES).advantage @ np.asarray(shares, np.float64)).max())


def sector_columns(result: Any, i: int) -> dict[str, Any]:
    """Exploitability of the average of the second half, mean exploitability of the last fifth, and that of the last policy.

    Rows are means over a fiftieth of training, 7,680 episodes each.
    """
    shares = np.array([row["episode_sector"][i] for row in result.rows], np.float64)
    last = result.summary["eval_sector"][i]
    half, fifth = shares[len(shares) // 2 :], shares[-(len(shares) // 5) :]
    return {
        "average": round(exploitability_of_shares(half.mean(0)), 4),
        "late": round(float(np.mean([exploitability_of_shares(x) for x in fifth])), 4),
        "last": round(exploitability_of_shares(last), 4),
        "shares": " ".join(f"{x:.3f}" for x in half.mean(0)),
    }


def _sectors() -> Study:
    judged = f"sectors:{SHARES[0]:g}:{SHARES[1]:g}:{SHARES[2]:g}"
    cell = lambda name, learner, **hp: Cell(
        name, "spo", {"learner": {"preference": judged, **learner}, "hp": hp}, 7_680_000
    )
    drawn = {"magnetic": True}
    return Study(
        "SPO on point-mass sectors",
        "point/sectors",
        8,
        (
            cell("SPO", {}),
            cell("SPO, fixed reference", {**drawn, "reference": "first"}, magnet=0.02),
            cell("EMA-SPO", {**drawn, "reference": "average"}, magnet=0.02, reference_rate=0.01),
            cell(
                "EMA-SPO, annealed",
                {**drawn, "reference": "average"},
                magnet=0.02,
                reference_rate=0.01,
                learning_rate_end=0.0,
            ),
        ),
        f"Episodes of 20 steps on a plane from the origin; judged is the sector in which they end, by hard labels of three groups with shares {SHARES}. "
        "The Minimax Winner is (0.8, 0.1, 0.1). Exploitability is in advantage units: `average` of the mean of the second half of training, `late` the mean "
        "over the last fifth (ten policies, each the mean of 30 updates), `last` of the last policy, by 8,192 episodes. 1,500 updates of 256 episodes, all pairs.",
        final_episodes=8_192,
        measure=sector_columns,
    )


def _pendulum() -> Study:
    wide = {"num_envs": 256, "rollout_length": 200}
    narrow = {"num_envs": 64, "rollout_length": 200}
    spo = lambda preference, **more: {"preference": preference, **more}
    return Study(
        "Pendulum from comparisons",
        "Pendulum-v1",
        8,
        (
            Cell("PPO, true reward", "ppo", {}, 1_280_000),
            Cell(
                "SPO, segments of 25",
                "spo",
                {**narrow, "learner": spo("max_reward", segment=25)},
                1_280_000,
                -220.0,
            ),
            Cell(
                "SPO, segments of 25, 40 % flips",
                "spo",
                {**narrow, "learner": spo("flips:0.4", segment=25)},
                1_280_000,
                -250.0,
            ),
            Cell("SPO, episodes", "spo", {**wide, "learner": spo("max_reward")}, 4_000_000, -180.0),
            Cell(
                "SPO, episodes, 30 % flips", "spo", {**wide, "learner": spo("flips:0.3")}, 4_000_000, -180.0
            ),
        ),
        "All pairs of a rollout are compared, by hard labels; PPO is this library's preset for Pendulum. Returns are of 128 sampled episodes a seed.",
        curves=True,
    )


HOPPER_STEPS = 2_000_000
HOPPER_SPO = {"num_envs": 32, "rollout_length": 1_000}
"""Sixty-two updates of whole episodes; the preset's 256 environments would leave eight. Not tuned."""


def _hopper() -> Study:
    cells = []
    for told, preference in (("no flips", "max_reward"), ("30 % flips", "flips:0.3")):
        asked = {"learner.preference": preference}
        cells += [
            Cell(f"SPO-PPO, {told}", "spo", {**HOPPER_SPO, **asked}, HOPPER_STEPS),
            Cell(f"SPO-SAC, {told}", "spo-sac", asked, HOPPER_STEPS),
            Cell(f"reward model, PPO, {told}", "reward-model", asked, HOPPER_STEPS),
            Cell(f"reward model, SAC, {told}", "pebble", asked, HOPPER_STEPS),
        ]
    cells += [
        Cell("true reward, PPO", "ppo", {}, HOPPER_STEPS),
        Cell("true reward, SAC", "sac", {}, HOPPER_STEPS),
    ]
    return Study(
        "Brax hopper from comparisons",
        "brax/hopper",
        5,
        tuple(cells),
        "At equal environment steps; queries are what each method asks as its preset is. Returns are of 128 sampled episodes a seed.",
        curves=True,
    )


def _populations() -> Study:
    judged = "populations:0.4:0.35:0.25"
    asked = {"learner.preference": judged}
    ema = {"learner.magnetic": True, "hp.magnet": 0.02, "hp.reference_rate": 0.01}
    return Study(
        "An intransitive population on brax hopper",
        "brax/hopper",
        5,
        (
            Cell("SPO-PPO", "spo", {**HOPPER_SPO, **asked}, HOPPER_STEPS),
            Cell("EMA-SPO-PPO", "spo", {**HOPPER_SPO, **asked, **ema}, HOPPER_STEPS),
            Cell("reward model, PPO", "reward-model", asked, HOPPER_STEPS),
            Cell("true reward, PPO", "ppo", {}, HOPPER_STEPS),
        ),
        "Three groups with shares 0.4, 0.35 and 0.25 judge by return, by effort and by length. What was learned meets in a tournament of all seeds, 64 sampled episodes each.",
        curves=True,
        meets=True,
        preference=judged,
    )


STUDIES = {"sectors": _sectors(), "pendulum": _pendulum(), "hopper": _hopper(), "populations": _populations()}
