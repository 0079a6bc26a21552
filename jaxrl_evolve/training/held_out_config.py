"""What trained agents are tested on, as settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxrl_evolve.settings.checks import root_seed, whole


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """What trained agents are tested on.

    Attributes:
        levels: solvable levels of the environment that they were trained on, drawn from a fixed key; 0 for none.
        episodes: whole episodes on each level in each of two samples: one tells which levels are the worst, the other how
            the agents do there.
        shares: of the levels, whose worst are reported.
        level_seed: root of the levels' randomness.
        envs: names of other environments, or patterns of them such as ``maze/*-maze``.
        env_options: options of all of these.
        env_episodes: whole episodes on each of these: all on its one task, or each on a solvable one of its own.
        arm_levels: tasks of each arm, drawn from a fixed key, with ``episodes`` in each of two samples; 0 for none.
        arms: which arms, as text for `arms_of`; those of the run's curriculum, or of the environment, by default.
        pass_at: numbers of tries of which at least one has to succeed; at most the episodes of both samples.
    """

    levels: int = 2_000
    episodes: int = 10
    shares: Sequence[float] = (0.1, 0.01)
    level_seed: int = 0
    envs: Sequence[str] = ()
    env_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    env_episodes: int = 128
    arm_levels: int = 0
    arms: str = ""
    pass_at: Sequence[int] = ()

    def __post_init__(self) -> None:
        whole("levels", self.levels, 0)
        whole("arm_levels", self.arm_levels, 0)
        for name in ("episodes", "env_episodes"):
            whole(name, getattr(self, name), 1)
        root_seed("level_seed", self.level_seed)
        for share in self.shares:
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 < share <= 1.0:
                raise ValueError(f"cvar is {share!r}; it must be above 0 and at most 1, e.g. 0.1")
        for k in self.pass_at:
            if whole("pass_at", k, 1) > 2 * self.episodes:
                raise ValueError(
                    f"pass_at is {k}, but there are {2 * self.episodes} episodes on each level (twice level_episodes); it must be at most that"
                )
        if self.pass_at and not self.levels and not self.arm_levels:
            raise ValueError(
                f"pass_at is {tuple(self.pass_at)}, but levels and arm_levels are 0, so that nothing is tried often"
            )
        if not self.levels and not self.envs and not self.arm_levels:
            raise ValueError(
                "levels and arm_levels are 0 and there are no other environments; there is nothing to test on"
            )
        if self.arms and not self.arm_levels:
            raise ValueError(f"arms is {self.arms!r}, but arm_levels is 0, so that none of them is tested")
        if self.env_options and not self.envs:
            raise ValueError(
                f"env_options is {dict(self.env_options)}, but there are no other environments to take them"
            )
