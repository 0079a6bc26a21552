"""What `throughput` measures."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    """Training settings, the same for both sides; ``updates`` are those of one seed."""

    title: str
    env: str
    num_envs: int
    updates: int
    seeds: int = 1
    rollout_length: int = 128
    epochs: int = 4
    minibatches: int = 4
    learning_rate: float = 2.5e-4
    activation: str = "tanh"
    target: float = 1.5
    last_updates: int = 0

    @property
    def steps(self) -> int:
        """Environment steps of all seeds together."""
        return self.updates * self.num_envs * self.rollout_length * self.seeds


def breakout(title: str, updates: int, **changes: object) -> Case:
    """PureJaxRL's settings for MinAtar."""
    case = Case(title, "Breakout-MinAtar", 64, updates, minibatches=8, learning_rate=5e-3, activation="relu")
    return dataclasses.replace(case, **changes)  # type: ignore[arg-type]


SPEED = {
    "cartpole-4": Case("CartPole-v1, 4 x 128", "CartPole-v1", 4, 2000),
    "cartpole-64": Case("CartPole-v1, 64 x 128", "CartPole-v1", 64, 120),
    "cartpole-64-seeds": Case("CartPole-v1, 64 x 128, 8 seeds", "CartPole-v1", 64, 30, 8, target=2.0),
    "breakout-64": breakout("Breakout-MinAtar, 64 x 128", 60),
    "breakout-64-seeds": breakout("Breakout-MinAtar, 64 x 128, 8 seeds", 12, seeds=8, target=2.0),
}
"""About a million steps each, fewer where they are slow."""

RETURNS = {
    "cartpole-returns": Case("CartPole-v1, 4 x 128", "CartPole-v1", 4, 976, 16, last_updates=97),
    "breakout-returns": breakout("Breakout-MinAtar, 64 x 128", 61, seeds=64, last_updates=6),
}
"""Half a million steps per seed; the statistic is taken over the last tenth. Breakout's returns spread so widely
that 16 seeds leave the comparison open."""

BREAKDOWN = {
    "parts-4": SPEED["cartpole-4"],
    "parts-64": SPEED["cartpole-64"],
}

TRACES = {"traces": Case("CartPole-v1, 4 x 128", "CartPole-v1", 4, 40, 2)}

RESETS = {
    "craftax-resets": {
        "title": "Craftax-Classic symbolic, 256 x 16, two hidden layers of 64, 4 minibatches",
        "env": "craftax/Craftax-Classic-Symbolic-v1",
        "env_options": {},
        "num_envs": 256,
        "rollout_length": 16,
        "updates": 12,
        "minibatches": 4,
        "hidden": (64, 64),
        "policies": ("none", "optimistic:16", "pool:256:16"),
        "target": 1.3,
    }
}

START = {"start": {"title": "CartPole-v1, 512 steps", "env": "CartPole-v1", "steps": 512, "target": 10.0}}

ALL = (*SPEED, *RETURNS, *BREAKDOWN, *RESETS, *TRACES, *START)
