"""What `off_policy` measures."""

from __future__ import annotations

from typing import Any

REJAX = {
    "dqn": {
        "title": "DQN, Breakout-MinAtar, 16 environments, buffer of 10,000",
        "algorithm": "dqn",
        "env": "Breakout-MinAtar",
        "num_envs": 16,
        "steps": 65_536,
        "capacity": 10_000,
        "warm_up": 1_024,
        "batch": 128,
        "hidden": (64, 64),
        "learning_rate": 5e-4,
        "target_period": 64,
        "target": 1.5,
    },
    "dqn-131k": {
        "title": "DQN, Breakout-MinAtar, 16 environments, Rejax's own buffer of 131,072",
        "steps": 8_192,
        "capacity": 131_072,
    },
    "sac": {
        "title": "SAC, Pendulum-v1, 4 environments, buffer of 10,000",
        "algorithm": "sac",
        "env": "Pendulum-v1",
        "num_envs": 4,
        "steps": 16_384,
        "capacity": 10_000,
        "warm_up": 1_024,
        "batch": 128,
        "hidden": (64, 64),
        "learning_rate": 1e-3,
        "target_rate": 0.005,
        "target": 1.5,
    },
    "sac-131k": {
        "title": "SAC, Pendulum-v1, 4 environments, Rejax's own buffer of 131,072",
        "steps": 4_096,
        "capacity": 131_072,
    },
}
"""Whole trainings of one seed: one gradient step for each step of all environments. ``target`` is what the project asks of the ratio."""
for _name in ("dqn", "sac"):
    REJAX[f"{_name}-131k"] = REJAX[_name] | REJAX[f"{_name}-131k"]

SPR: dict[str, dict[str, Any]] = {
    "spr-boards": {
        "title": "SPR on Breakout-MinAtar, one convolution of 16, two streams of 128",
        "env": "Breakout-MinAtar",
        "shape": (10, 10, 4),
        "convolutions": ((16, 3, 1),),
        "hidden": 128,
        "shift": 1,
        "intensity": 0.0,
        "updates": 32,
        "bulk": 8,
        "env_steps": 16,
    },
    "spr-frames": {
        "title": "SPR on Atari's frames, three convolutions, two streams of 256",
        "env": "atari/Breakout",
        "shape": (84, 84, 4),
        "convolutions": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
        "hidden": 256,
        "shift": 4,
        "intensity": 0.05,
        "updates": 8,
        "bulk": 2,
        "env_steps": 4,
    },
}
"""The preset's network and batch of 32 on both sides, two gradient steps for each environment step, n = 10, K = 5."""

ALL = (*REJAX, *SPR)
