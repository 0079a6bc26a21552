"""The studies of ``preference_control.py``: what is trained, and what is measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import preference_control_hopper as hopper
from preference_control_cells import Cell, Study

from jaxrl_evolve.preferences.games import populations

SHARES = (0.45, 0.45, 0.10)
"""Of the three groups who judge the sectors; the Minimax Winner ends in these with the shares (0.8, 0.1, 0.1)."""


def exploitability_of_shares(shares: Any, judges: Sequence[float] = SHARES) -> float:
    """Of a policy that ends in the three sectors with these shares, in advantage units; ``judges`` are the shares of the groups."""
    return float((populations(judges).advantage @ np.asarray(shares, np.float64)).max())


def sector_columns(cell: Cell, result: Any, i: int) -> dict[str, Any]:
    """Exploitability of the average of the second half, mean exploitability of the last fifth, and that of the last policy.

    Rows are means over a fiftieth of training, 7,680 episodes each.
    """
    shares = np.array([row["episode_sector"][i] for row in result.rows], np.float64)
    last = result.summary["eval_sector"][i]
    half, fifth = shares[len(shares) // 2 :], shares[-(len(shares) // 5) :]
    judged = lambda x: exploitability_of_shares(x, cell.shares)
    return {
        "average": round(judged(half.mean(0)), 4),
        "late": round(float(np.mean([judged(x) for x in fifth])), 4),
        "last": round(judged(last), 4),
        "shares": " ".join(f"{x:.3f}" for x in half.mean(0)),
    }


def _sector_cell(name: str, shares: Sequence[float], learner: Mapping[str, Any], **hp: float) -> Cell:
    told = f"sectors:{shares[0]:g}:{shares[1]:g}:{shares[2]:g}"
    changes = {"learner": {"preference": told, **learner}, "hp": hp}
    return Cell(name, "spo", changes, 7_680_000, shares=tuple(shares))


EMA = {"magnetic": True, "reference": "average"}


def _sectors() -> Study:
    cell = lambda name, learner, **hp: _sector_cell(name, SHARES, learner, **hp)
    return Study(
        "SPO on point-mass sectors",
        "point/sectors",
        8,
        (
            cell("SPO", {}),
            cell("SPO, fixed reference", {**EMA, "reference": "first"}, magnet=0.02),
            cell("EMA-SPO", EMA, magnet=0.02, reference_rate=0.01),
            cell(
                "EMA-SPO, annealed",
                EMA,
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


MIXTURES = ((0.4, 0.35, 0.25), (0.34, 0.33, 0.33), (0.2, 0.6, 0.2))
"""Shares of the groups, besides those of `sectors`: uneven, all but even, and with a majority, whose first choice is then the only winner."""


def _mixtures() -> Study:
    return Study(
        "EMA-SPO on point-mass sectors in other mixtures of judges",
        "point/sectors",
        8,
        tuple(
            _sector_cell(mixture_name(shares), shares, EMA, magnet=0.02, reference_rate=0.01)
            for shares in MIXTURES
        ),
        "As `EMA-SPO` of the table of sectors, with other shares of the three groups. Minimax Winners are (0.5, 0.2, 0.3), (0.34, 0.32, 0.34) and (0, 1, 0).",
        final_episodes=8_192,
        measure=sector_columns,
    )


def mixture_name(shares: Sequence[float]) -> str:
    """The cell of a mixture."""
    return f"EMA-SPO, {shares[0]:g} {shares[1]:g} {shares[2]:g}"


NONMARKOV = "nonmarkov:-100"
"""As much return as possible in the first 150 steps, with at most -100 in the last 50: a pendulum that stands in the end has nearly 0 there."""


def _nonmarkov() -> Study:
    alike = {
        "env_options": {"wrappers": "time_aware"},
        "num_envs": 256,
        "rollout_length": 200,
        "resets": "full",
        "learner.epochs": 4,
        "learner.minibatches": 32,
        "learner.clip_value": False,
        "learner.normalise_observations": True,
        "learner.normalise_returns": True,
        "learner.network.hidden": (64, 64),
        "hp.learning_rate": 1e-3,
        "hp.learning_rate_end": 1.0,
        "hp.gamma": 0.99,
        "hp.entropy_coef": 0.0,
    }
    labels, asked = 20_480, {"learner.preference": NONMARKOV}
    spo = {**alike, **asked, "learner.time": False, "learner.comparators": "subsample", "learner.number": 2}
    model = {
        "learner.whole": True,
        "learner.segment": 200,
        "learner.queries": labels,
        "learner.sessions": 20,
        "learner.candidates": 4,
        "learner.model_hidden": (64, 64),
        "learner.model_steps": 100,
        "learner.model_batch": 32,
    }
    return Study(
        "Pendulum, judged by what no reward of single steps says",
        "Pendulum-v1",
        8,
        (
            Cell("SPO", "spo", {**spo, "learner.queries": labels}, 4_096_000),
            Cell("SPO, all pairs", "spo", {**spo, "learner.comparators": "batch"}, 4_096_000),
            Cell("reward model", "reward-model", {**alike, **asked, **model}, 4_096_000),
            Cell("true reward", "ppo", alike, 4_096_000),
        ),
        f"Preferred is the larger return of the first 150 steps, if that of the last 50 is at most -100; who exceeds it loses. The reward model is asked about whole episodes, at most {labels:,} labels, as SPO; all see the time and have the same settings, which "
        "were not tuned. Returns are the environment's, which nobody learns from but by the true reward; what counts is the tournament by that preference.",
        curves=True,
        meets=True,
        preference=NONMARKOV,
    )


STUDIES = {
    "sectors": _sectors(),
    "mixtures": _mixtures(),
    "pendulum": _pendulum(),
    "nonmarkov": _nonmarkov(),
    "tune": hopper.tune(),
    "hopper": hopper.hopper(),
    "gate": hopper.gate(),
    "populations": hopper.populations(),
}
