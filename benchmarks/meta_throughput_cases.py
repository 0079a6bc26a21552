"""What `meta_throughput` measures."""

from __future__ import annotations

from typing import Any

import numpy as np

COMMON: dict[str, Any] = {"env": "grid/random-small", "num_envs": 64, "rollout_length": 20, "predictions": 8}
PAPER = COMMON | {"width": 256}
SMALL = COMMON | {"width": 32}

CASES: dict[str, dict[str, Any]] = {
    "generation": PAPER
    | {
        "title": "ES generation of 16 agents, GRU of 256 units",
        "part": "generation",
        "es": True,
        "agents": 8,  # pairs: the peer doubles them
        "peer_mini_batches": 1,
        "repeats": 2,  # at most: the peer takes over a minute for each of its long ones
        "lifetimes": {"fixed": (25, 25), "log-uniform": (10, 250)},
        "target": 3.0,
    },
    "meta-gradient": PAPER
    | {
        "title": "meta-gradient step through 5 updates of 16 agents, GRU of 256 units",
        "part": "gradient",
        "es": False,
        "agents": 16,
        "inner_updates": 5,
        "peer_mini_batches": 1,
        "lifetimes": {"step": (10, 250)},
        "target": 4.0,
    },
    "buckets": SMALL
    | {
        "title": "ES generation of 32 agents, GRU of 32 units",
        "part": "buckets",
        "agents": 16,
        "lanes": (1, 2, 0),
        "lifetimes": {"fixed": (75, 75), "log-uniform": (10, 250)},
        "target": 2.5,
    },
    "overhead": SMALL
    | {
        "title": "ES generation of 32 agents, GRU of 32 units, against their bare updates",
        "part": "overhead",
        "agents": 16,
        "lifetimes": {"fixed": (75, 75)},
        "target": 1.5,
    },
    "devices": SMALL
    | {
        "title": "ES generation of 8 agents a device, GRU of 32 units",
        "part": "generation",
        "agents": 4,
        "devices": (1, 2, 4, 8),
        "lifetimes": {"fixed": (50, 50)},
    },
}
"""``agents`` are pairs where evolution strategies are measured; ``lifetimes`` are in updates, shortest and longest."""

ALL = tuple(CASES)


def spread(low: int, high: int, count: int) -> np.ndarray:
    """Lifetimes at evenly spaced quantiles of the log-uniform distribution, so that a few have its mean."""
    quantiles = (np.arange(count) + 0.5) / count
    return np.round(low * (high / low) ** quantiles).astype(np.int32)
