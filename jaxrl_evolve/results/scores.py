"""Normalised scores: 0 is a random policy, 1 a stated reference, per environment.

``normalised = (return - random) / (reference - random)``. The constants are data, each with its
source; an environment without published or measured ones has no normalised score, and neither has one
made with options that change the task. NumPy only.
"""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxrl_evolve.results import atari_100k


@dataclasses.dataclass(frozen=True)
class Scale:
    """The two ends of one environment's scale; undiscounted returns of whole episodes.

    Attributes:
        random: the return that scores 0.
        reference: the return that scores 1.
        meaning: what the reference is.
        source: where both numbers come from.
        solved: the return at which the task counts as solved, where there is such a convention.
    """

    random: float
    reference: float
    meaning: str
    source: str
    solved: float | None = None

    def __call__(self, returns: ArrayLike | float) -> np.ndarray:
        """Normalised scores, float64 of the same shape."""
        return np.asarray((np.asarray(returns, np.float64) - self.random) / (self.reference - self.random))


_RANDOM_HERE = "random: uniform actions, 2,000 episodes in gymnax 1.0.1"
_THRESHOLD = "reference: Gym's reward threshold"
_MINATAR = (
    "random: uniform minimal actions, 15,000 episodes or more in gymnax; reference: PPO tuned for each "
    "game at 1e7 steps, the normaliser of Goldie et al. 2024 (arXiv 2407.07082)"
)
_ATARI = "random and human: the constants of Atari-100k, as in Agarwal et al. 2021 (arXiv 2108.13264)"
_CRAFTAX = "Matthews et al. 2024 (arXiv 2402.16801) report returns in per cent of the maximum"

SCALES: dict[str, Scale] = {
    "CartPole-v1": Scale(
        22.6,
        500.0,
        "maximum",
        f"{_RANDOM_HERE}; reference: the 500-step limit; solved: Gym's threshold",
        475.0,
    ),
    "Acrobot-v1": Scale(-498.6, -100.0, "solved", f"{_RANDOM_HERE}; {_THRESHOLD}", -100.0),
    "MountainCar-v0": Scale(-200.0, -110.0, "solved", f"{_RANDOM_HERE}; {_THRESHOLD}", -110.0),
    "MountainCarContinuous-v0": Scale(-33.1, 90.0, "solved", f"{_RANDOM_HERE}; {_THRESHOLD}", 90.0),
    "Pendulum-v1": Scale(
        -1212.6, -200.0, "solved", f"{_RANDOM_HERE}; reference: by custom, Gym sets no threshold", -200.0
    ),
    "Asterix-MinAtar": Scale(0.49, 15.0, "tuned PPO", _MINATAR),
    "Breakout-MinAtar": Scale(0.41, 50.1, "tuned PPO", _MINATAR),
    "Freeway-MinAtar": Scale(0.41, 61.8, "tuned PPO", _MINATAR),
    "SpaceInvaders-MinAtar": Scale(4.13, 167.1, "tuned PPO", _MINATAR),
    "craftax/Craftax-Classic-Symbolic-v1": Scale(0.0, 22.0, "maximum", _CRAFTAX),
    "craftax/Craftax-Classic-Pixels-v1": Scale(0.0, 22.0, "maximum", _CRAFTAX),
    "craftax/Craftax-Symbolic-v1": Scale(0.0, 226.0, "maximum", _CRAFTAX),
    "craftax/Craftax-Pixels-v1": Scale(0.0, 226.0, "maximum", _CRAFTAX),
    "brax/ant[backend=positional]": Scale(
        -183.5,
        6517.0,
        "tuned PPO",
        "random: uniform actions, 64 episodes in brax 0.14.2 (standard error 21); reference: tuned PPO at 5e7 "
        "steps, Goldie et al. 2024 (arXiv 2407.07082)",
    ),
    **{
        f"atari/{game}": Scale(atari_100k.RANDOM[game], atari_100k.HUMAN[game], "human", _ATARI)
        for game in atari_100k.GAMES
    },
}
"""Scales by `task_name`."""


def task_name(env_name: str, **options: Any) -> str:
    """One name for an environment and the options it was made with: ``name[option=value,...]``."""
    if not options:
        return env_name
    if "identity" in options:  # of a spec, which is long, and told by its hash
        options = {**options, "identity": str(options["identity"])[:8]}
        options.pop("spec", None)
    return f"{env_name}[{','.join(f'{name}={value}' for name, value in sorted(options.items()))}]"


def scale_of(env_name: str, **options: Any) -> Scale | None:
    """The scale of an environment, or None where no constants are known.

    Args:
        env_name: registry name.
        **options: what the environment was made with besides its name. Constants hold for exactly
            these, so an option that is not part of a known name leaves no scale.
    """
    return SCALES.get(task_name(env_name, **options))


def normalise(env_name: str, returns: ArrayLike | float, **options: Any) -> np.ndarray:
    """Returns of one environment as normalised scores.

    Args:
        env_name: registry name.
        returns: undiscounted episode returns, any shape.
        **options: as in `scale_of`.

    Returns:
        float64 of the shape of ``returns``; NaN stays NaN.

    Raises:
        ValueError: where no constants are known.
    """
    scale = scale_of(env_name, **options)
    if scale is None:
        key = task_name(env_name, **options)
        near = difflib.get_close_matches(key, SCALES, n=3)
        hint = f"; near names that have: {', '.join(near)}" if near else ""
        raise ValueError(f"no normalised score is known for the environment {key!r}{hint}")
    return scale(returns)
