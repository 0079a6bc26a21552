"""The studies of ``preference_control.py`` on brax hopper: its arms, how they are tuned alike, and the groups who judge in circles.

All arms see the same: hopper on the spring backend, episodes of 250 steps, with the share of the time that is over as a last element of observations.
All that learn by PPO have the same settings but what makes them what they are, and so have all that learn by SAC. Each arm has its step size from the same
grid, by the same rule, on root seed 100 (`tune`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from preference_control_cells import Cell, Study

LENGTH = 250
"""Steps of an episode that runs its whole length."""
HOPPER = {"env_options": {"backend": "spring", "episode_length": str(LENGTH), "wrappers": "time_aware"}}
PPO_STEPS, SAC_STEPS = 1_024_000, 200_000
LABELS, MANY_LABELS = 8_000, 32_000

PPO_ARMS: Mapping[str, Any] = {
    **HOPPER,
    # Four whole episodes of each environment in a rollout, and 64 updates.
    "num_envs": 16,
    "rollout_length": 4 * LENGTH,
    "resets": "full",
    "learner.epochs": 4,
    "learner.minibatches": 16,
    "learner.clip_value": False,
    "learner.normalise_observations": True,
    "learner.normalise_returns": True,
    "learner.network.hidden": (64, 64),
    "hp.learning_rate_end": 1.0,
    "hp.gamma": 0.99,
    "hp.gae_lambda": 0.95,
    "hp.entropy_coef": 0.0,
}
SAC_ARMS: Mapping[str, Any] = {
    **HOPPER,
    "num_envs": 64,
    "rollout_length": 1,
    "resets": "full",
    "learner.capacity": 262_144,
    "learner.batch": 256,
    "learner.gradient_steps": 16,
    "learner.warm_up": 8_192,
    "learner.hidden": (256, 256),
    "learner.normalise_observations": True,
    "hp.gamma": 0.99,
    "hp.temperature": 0.1,
}
MODEL: Mapping[str, Any] = {
    "learner.segment": 50,
    "learner.queries": LABELS,
    "learner.sessions": 40,
    "learner.model_hidden": (64, 64),
}
"""Of both arms with a reward model."""
OWN: Mapping[str, Mapping[str, Any]] = {
    "ppo": PPO_ARMS,
    # All that end are paid: 2,048 would have eight steps each. The time is in the observations of all arms, so none is added.
    "spo": {
        **PPO_ARMS,
        "learner.time": False,
        "learner.episodes": 2_048,
        "learner.comparators": "subsample",
        "learner.number": 2,
        "learner.queries": LABELS,
    },
    "reward-model": {**PPO_ARMS, **MODEL},
    "sac": {**SAC_ARMS, "hp.reward_scale": 10.0},
    "spo-sac": {
        **SAC_ARMS,
        "learner.time": False,
        "learner.number": 7,
        "learner.relabel": "none",
        "learner.queries": LABELS,
        "hp.payoff_scale": 1_000.0,
    },
    "pebble": {**SAC_ARMS, **MODEL, "hp.reward_scale": 10.0},
}
"""By algorithm, what each arm is made of. Labels are equal."""
ALL_PAIRS = {"learner.comparators": "batch", "learner.queries": 0}
MORE_LABELS = {"learner.queries": MANY_LABELS}
"""Eight hundred a session are more than twice as many as the segments that a rollout holds side by side."""

BY_SAC = ("sac", "spo-sac", "pebble")
GRID = (1e-4, 3e-4, 1e-3)
"""Step sizes that each arm tries."""
UNTUNED = 3e-4


def with_step_size(changes: Mapping[str, Any], algorithm: str, rate: float) -> dict[str, Any]:
    """Settings with a step size; those of SAC are one number as well."""
    names = ["learning_rate"]
    if algorithm in BY_SAC:
        names += ["critic_learning_rate", "temperature_learning_rate"]
    return {**changes, **{f"hp.{name}": rate for name in names}}


def steps_of(algorithm: str) -> int:
    """Environment steps of an arm's cells."""
    return SAC_STEPS if algorithm in BY_SAC else PPO_STEPS


ARMS = {
    "SPO-PPO": "spo",
    "reward model, PPO": "reward-model",
    "SPO-SAC": "spo-sac",
    "reward model, SAC": "pebble",
    "true reward, PPO": "ppo",
    "true reward, SAC": "sac",
}
"""Names of the arms, and what is trained."""


def tune() -> Study:
    """Three step sizes for each arm, without flips, two seeds."""
    cells = tuple(
        Cell(tune_name(arm, rate), arm, with_step_size(_asked(arm, "max_reward"), arm, rate), steps_of(arm))
        for arm in ARMS.values()
        for rate in GRID
    )
    return Study(
        "Step sizes of the arms on brax hopper",
        "brax/hopper",
        2,
        cells,
        f"Each arm tries {len(GRID)} step sizes at its whole length, without flips, at the labels that it is reported with; the one with the highest mean return of two seeds is "
        "taken, the smaller where they are level. Root seed 100; reported are others.",
        final_episodes=64,
        root_seed=100,
    )


def tune_name(arm: str, rate: float) -> str:
    """The cell of `tune` in which an arm tries a step size."""
    return f"{arm}, {rate:g}"


def chosen(rows: Sequence[Mapping[str, str]], arm: str) -> float | None:
    """The step size with the highest mean return of its seeds, of which one that is lost counts as below all; None while cells are missing."""
    means = []
    for rate in GRID:
        own = [row["eval_return"] for row in rows if row["cell"] == tune_name(arm, rate)]
        if not own:
            return None
        means.append(np.mean([float(value) if value else -np.inf for value in own]))
    return GRID[int(np.argmax(means))]


def _asked(arm: str, preference: str, **more: Any) -> dict[str, Any]:
    told = {} if arm in ("ppo", "sac") else {"learner.preference": preference}
    return {**OWN[arm], **told, **more}


def hopper() -> Study:
    """Six arms, two of them with plenty of labels as well."""
    cells = []
    for told, preference in (("no flips", "max_reward"), ("30 % flips", "flips:0.3")):
        for name, arm in ARMS.items():
            if arm in ("ppo", "sac"):
                continue
            cells.append(Cell(f"{name}, {told}", arm, _asked(arm, preference), steps_of(arm), tuned=arm))
        for name, arm, more in (
            ("SPO-PPO, all pairs", "spo", ALL_PAIRS),
            (f"reward model, PPO, {MANY_LABELS:,} labels", "reward-model", MORE_LABELS),
        ):
            changes = _asked(arm, preference, **more)
            cells.append(Cell(f"{name}, {told}", arm, changes, steps_of(arm), tuned=arm))
    for name, arm in ARMS.items():
        if arm in ("ppo", "sac"):
            cells.append(Cell(name, arm, _asked(arm, ""), steps_of(arm), tuned=arm))
    return Study(
        "Brax hopper from comparisons",
        "brax/hopper",
        5,
        tuple(cells),
        f"Spring backend, episodes of {LENGTH} steps, and all arms see the time; arms that learn by PPO have the same settings, and so have those by SAC, each with its step size of three (`tune`, root seed 100). "
        f"As long as two cores can pay: {PPO_STEPS:,} steps by PPO, {SAC_STEPS:,} by SAC, which are not to be compared with each other. At most {LABELS:,} labels each, SPO's of whole episodes and a reward model's of segments of 50 steps, but where "
        f"a line says that it has more. Returns are of 128 sampled episodes a seed. What decides the claims is in `preference_claims.py`.",
        curves=True,
    )


JUDGED = "populations:0.4:0.35:0.25"
CRITERIA = "observed:5,effort,near:1:0:0.2"
"""Speed, effort, and a torso that is upright: of hopper's observations the 5th (from 0) is its speed and the 1st the torso's angle, 0.2 at most."""
CYCLIC = 0.05
"""The share of triples of policies that must be cyclic, each of its three win rates surely apart from 1/2, before `populations` is run."""


def gate() -> Study:
    """Policies trained for one criterion each, at four stages: do groups go in circles among them?"""
    ways = {"speed": "1:0:0", "effort": "0:1:0", "posture": "0:0:1"}
    changes = {"learner.criteria": CRITERIA, "checkpoints": 4, "keep": 4, **ALL_PAIRS}
    cells = [
        Cell(
            name,
            "spo",
            with_step_size(
                {**OWN["spo"], **changes, "learner.preference": f"populations:{share}"}, "spo", UNTUNED
            ),
            512_000,
        )
        for name, share in ways.items()
    ]
    return Study(
        "Do three groups go in circles on brax hopper?",
        "brax/hopper",
        2,
        tuple(cells),
        f"SPO-PPO for one criterion each ({CRITERIA}), four checkpoints of two seeds; who of three is preferred to whom is judged by groups with the shares 0.4, 0.35 and 0.25, 64 sampled episodes each. Written down before: `populations` is run "
        f"if at least {CYCLIC:.0%} of all triples are cyclic with each of their win rates surely apart from 1/2. Root seed 100.",
        final_episodes=32,
        rows=8,
        meets=True,
        preference=JUDGED,
        criteria=CRITERIA,
        checkpoints=True,
        root_seed=100,
    )


def populations() -> Study:
    """What self-play and a reward model make of groups that go in circles."""
    judged = {"learner.preference": JUDGED, "learner.criteria": CRITERIA}
    ema = {"learner.magnetic": True, "hp.magnet": 0.02, "hp.reference_rate": 0.01}
    whole = {
        "learner.whole": True,
        "learner.segment": LENGTH,
        "learner.sessions": 16,
        "learner.model_steps": 100,
        "learner.model_batch": 32,
    }
    cell = lambda name, arm, **more: Cell(name, arm, {**OWN[arm], **more}, PPO_STEPS, tuned=arm)
    return Study(
        "An intransitive population on brax hopper",
        "brax/hopper",
        5,
        (
            cell("SPO-PPO", "spo", **judged, **ALL_PAIRS),
            cell("EMA-SPO-PPO", "spo", **judged, **ALL_PAIRS, **ema),
            cell("reward model, PPO", "reward-model", **judged, **whole),
            cell("true reward, PPO", "ppo"),
        ),
        f"Three groups with shares 0.4, 0.35 and 0.25 judge by speed, by effort and by how upright the torso is ({CRITERIA}), all of whole episodes; SPO compares all pairs, the reward model has {LABELS:,} labels. Settings are those of `hopper`. What was learned meets in a tournament of all seeds, "
        "64 sampled episodes each.",
        curves=True,
        meets=True,
        preference=JUDGED,
        criteria=CRITERIA,
        after="gate",
    )


TUNING = Path(__file__).resolve().parent / "results" / "preference_tuning"
"""Where `tune` and `gate` are kept."""
