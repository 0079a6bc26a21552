"""A meta-training that takes seconds."""

from __future__ import annotations

from typing import Any

from jaxrl_evolve.meta.config import MetaTrainConfig

TINY: dict[str, Any] = {
    "generations": 4,
    "num_envs": 4,
    "rollout_length": 5,
    "evolution": {"population": 4, "sigma": 3.0},
    "gradient": {"lifetimes": 2, "inner_updates": 2},
    "persistent": {"window": 2},
    "horizons": {"low": 2, "high": 4},
    "fitness": {"episodes": 8, "max_steps": 40, "average": 0.5},
    "settings": {"width": 3, "predictions": 2, "embedding": 2},
    "tests": 2,
    "test_every": 2,
}


def tiny(**changes: Any) -> MetaTrainConfig[Any, Any, Any]:
    return MetaTrainConfig.preset("ta-lpg", "chain/delayed-short", **{**TINY, **changes})
