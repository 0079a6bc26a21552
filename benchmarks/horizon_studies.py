"""The studies of `horizon_study.py`, and what was written down before any run of them.

**In all of them**: the primary outcome is P(x > y), the probability that an agent of the same seed (and level) ends with the
higher return under x than under y, meta-seed against the same meta-seed, pooled over the test's horizons with equal weight;
ties count half; 95 % bootstrap interval over meta-seeds and agent seeds; agents' step sizes tuned once for all horizons. x is
better if the interval lies above 0.5. Nothing else decides. Secondary outcomes only describe: the same at each horizon
and with step sizes tuned per horizon; what reads the time against itself with a clock that is frozen, shuffled, too slow (a
horizon of four times the true one) and too fast (a quarter), at the true clock's step sizes; each arm against written
algorithms, constant and annealed. Meta-seeds 0 to 4 are shared by the arms, their random numbers are the same. Test seeds are
none of meta-training, of the tuning or of `value_of_time.py`. What stops a study is time alone; cells that are missing
are told in its table.

**b**, LPO. Does knowing the time left pay? x is TA-LPO, y is LPO, both at constant step sizes. Arms {constant, annealed} x
{LPO, TA-LPO}, drift networks of 16 units, 200 generations of 64 agents, horizons log-uniform from 5 to 80 updates of 4 x 128
steps, fitness the mean return of 16 episodes of the finished agent; agents' step sizes in meta-training are those that did
best for PPO as one for all horizons, constant and annealed, in `value_of_time.py`. The noise begins at a deviation of 0.2,
seven times the preset's for 128 units: at that one a pair of 16 units tells next to nothing but luck (`pair_reliability.py`,
whose random numbers are none of the study's). Test: 64 agent seeds at 5, 10, 20, 40 and
80 updates.

**b1**, the same with a single environment, in Catch: of the tasks that `value_of_time.py` had measured so far, that with the most
to gain. There the best schedule of each horizon beats the best single constant step size with P = 0.650 [0.611, 0.691]; of four
environments it is 0.592 in Catch and 0.544 in CartPole. What x can reach is about that.

**c**, LPG from one converged rule. Is there a dependence of this rule on time that pays? x is the rule whose time columns
alone evolve (``evolution.only``), y the blind rule that goes on evolving, all of it, for as many generations: 200 of 64
agents, horizons log-uniform from 10 to 250 updates of 16 x 20 steps. Test: 256 levels at 10, 25, 50, 100 and 250 updates.

**d**, LPG from nothing. Does knowing the time left pay? x is TA-LPG, y is LPG; cores of 16 units, 1,000 generations of 64 agents
whose step size is drawn per life from a third to three times the preset's; horizons, agents and test as in c.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

CONSTANT, ANNEALED = 1.0, 0.0
"""What is left of agents' step size at the horizon."""


@dataclasses.dataclass(frozen=True)
class Arm:
    """What is meta-trained.

    Attributes:
        objective: its name.
        changes: of the preset, beside those of the study.
    """

    objective: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        env: where it is if no other environment is asked for.
        arms: by name.
        primary: names of x and y.
        changes: of every arm's preset.
        horizons: of the test, in updates.
        baselines: written algorithms by the names of tables, under those of meta-tests.
        rates: candidate step sizes of the tuning.
        agent_seeds: of the test.
        validation_seeds: of the tuning.
        untrained: objectives that are tested as they are.
        meta_seeds: of each arm.
    """

    env: str
    arms: Mapping[str, Arm]
    primary: tuple[str, str]
    changes: Mapping[str, Any]
    horizons: tuple[int, ...]
    baselines: Mapping[str, str]
    rates: tuple[float, ...]
    agent_seeds: int
    validation_seeds: int
    untrained: tuple[str, ...] = ()
    meta_seeds: int = 5


def lpo(step_sizes: Mapping[float, float], env: str = "CartPole-v1", num_envs: int = 4) -> Study:
    """Studies b, with the agents' step sizes in meta-training by what is left of them at the horizon."""
    arms = {
        f"{objective}-{schedule}": Arm(
            objective, {"hp": {"learning_rate": step_sizes.get(end, 1e-3), "learning_rate_end": end}}
        )
        for schedule, end in (("constant", CONSTANT), ("annealed", ANNEALED))
        for objective in ("ta-lpo", "lpo")
    }
    return Study(
        env,
        arms,
        ("ta-lpo-constant", "lpo-constant"),
        {
            "generations": 200,
            "num_envs": num_envs,
            "rollout_length": 128,
            "tests": 32,
            "settings": {"width": 16},
            "evolution": {"population": 64, "sigma": 0.2},
            "horizons": {"kind": "log_uniform", "low": 5, "high": 80},
            "fitness": {"episodes": 16, "max_steps": 500},
        },
        horizons=(5, 10, 20, 40, 80),
        baselines={"ppo-constant": "ppo-constant", "ppo-annealed": "ppo"},
        rates=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
        agent_seeds=64,
        validation_seeds=8,
    )


_LPG: dict[str, Any] = {
    "horizons": (10, 25, 50, 100, 250),
    "baselines": {"a2c-constant": "a2c-constant", "a2c-annealed": "a2c"},
    "rates": (),  # multiples of the preset's, which suit tables and networks
    "agent_seeds": 256,
    "validation_seeds": 32,
}
_LIVES: dict[str, Any] = {
    "num_envs": 16,
    "rollout_length": 20,
    "tests": 32,
    "horizons": {"kind": "log_uniform", "low": 10, "high": 250},
    "fitness": {"episodes": 16},
}


def columns(_: Mapping[float, float]) -> Study:
    """Study c."""
    small = {"population": 64, "sigma": 0.05, "learning_rate": 0.01, "learning_rate_decay": 0.99}
    arms = {
        "ta-lpg-time": Arm("ta-lpg", {"evolution": {**small, "only": ("core_time",)}}),
        "lpg-continued": Arm("lpg", {"evolution": small}),
    }
    changes = {**_LIVES, "generations": 200, "start": "lpg"}
    return Study(
        "grid/random-small", arms, ("ta-lpg-time", "lpg-continued"), changes, untrained=("lpg",), **_LPG
    )


def from_nothing(_: Mapping[float, float]) -> Study:
    """Study d."""
    arms = {"ta-lpg": Arm("ta-lpg"), "lpg": Arm("lpg")}
    changes = {
        **_LIVES,
        "generations": 1_000,
        "settings": {"width": 16},
        "step_size_spread": 3.0,
        "evolution": {"population": 64, "learning_rate_decay": 0.998},
    }
    return Study("grid/random-all", arms, ("ta-lpg", "lpg"), changes, **_LPG)


def of_one(step_sizes: Mapping[float, float]) -> Study:
    """Study b1."""
    return lpo(step_sizes, "Catch-bsuite", 1)


STUDIES: dict[str, Callable[[Mapping[float, float]], Study]] = {
    "b": lpo,
    "b1": of_one,
    "c": columns,
    "d": from_nothing,
}
"""By name; made of the step sizes that studies b take from the value of time."""
