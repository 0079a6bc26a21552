"""What a learned objective is told of time, as settings: which functions of the clock, and how they are scaled.

The settings are data, so the questions "does it use the clock?" and "which part of it?" are two
configurations of one objective. Time-aware learned objectives read ``n / N`` and ``log N`` (Jackson et al.
2024, arXiv 2402.05828); raw counts would saturate a network trained on short horizons.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from jaxrl_evolve.settings.checks import Above, AtLeast, Between, check
from jaxrl_evolve.settings.later import later
from jaxrl_evolve.settings.names import suggestion
from jaxrl_evolve.settings.notices import Notice

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from jaxrl_evolve.clock import Clock

TimeKind = Literal["fraction", "remaining", "log_horizon", "periodic"]
"""A feature of the clock."""
TimeUnit = Literal["env_steps", "updates"]
"""What horizons are counted in."""
OF_THE_LENGTH = ("remaining", "log_horizon")
"""Features that read the horizon's length."""
_shown = later("objectives.time_features", "shown")
_features = later("objectives.time_features", "features")


def _one_of(what: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{what} is {value!r}, which is not known: {suggestion(str(value), allowed)}")


class HorizonWarning(Notice, UserWarning):
    """A learned objective is used at a horizon that it was not trained for."""


@dataclasses.dataclass(frozen=True)
class HorizonRange:
    """The horizons that an objective is trained at: from ``least`` to ``most``, both included."""

    least: float
    """Shortest horizon."""
    most: float
    """Longest horizon."""
    unit: TimeUnit = "env_steps"
    """What is counted, as in `Clock.unit`."""

    def __post_init__(self) -> None:
        check(self)
        if not 0 < self.least <= self.most < math.inf:
            raise ValueError(
                f"horizons are {self.least} to {self.most}; the least must be above 0 and at most the most"
            )

    def __contains__(self, horizon: float) -> bool:
        return self.least <= horizon <= self.most

    def __str__(self) -> str:
        amounts = f"{self.least:,.10g}" + (f" to {self.most:,.10g}" if self.most > self.least else "")
        return f"{amounts} {self.unit.replace('_', ' ')}"


@dataclasses.dataclass(frozen=True)
class ClockAblation:
    """Which clock the features are computed from: the true one, or one that is wrong in a known way.

    Schedules of the learner and of the objective's coefficients keep the true clock.
    """

    kind: Literal["true", "frozen", "shuffled", "wrong"] = "true"
    """'frozen' at a fraction of the horizon; 'shuffled': all fractions occur, in another order; 'wrong': the
    horizon is multiplied by a factor."""
    fraction: Annotated[float, Between(0.0, 1.0)] = 0.5
    """Where a frozen clock stands, from 0 to 1."""
    factor: Annotated[float, Above(0.0)] = 4.0
    """What a wrong clock multiplies the horizon by."""
    seed: Annotated[int, AtLeast(0)] = 0
    """Which order a shuffled clock has."""
    parts: Annotated[int, Between(2, 1_000_000)] = 256
    """Equal parts of the horizon that a shuffled clock permutes."""

    def __post_init__(self) -> None:
        check(self, "ablation")

    def apply(self, clock: Clock) -> Clock:
        """The clock that this ablation shows instead of ``clock``; a pure function of it.

        A shuffled clock is a bijection of the fractions, so that over a whole run an objective reads the
        same times as ever, at the wrong moments.
        """
        return _shown(self, clock)


@dataclasses.dataclass(frozen=True)
class TimeFeatures:
    """Which functions of the clock an objective reads, in which order.

    With ``n`` the clock's step, ``N`` its horizon, and ``least`` and ``most`` the range's ends:

    - ``fraction``: ``n / N`` in [0, 1], of any horizon.
    - ``remaining``: ``(N - n) / most``, clamped to [0, 1].
    - ``log_horizon``: ``log N``, with ``N`` clamped to the range, scaled so that the range's ends are -1 and 1
      (0 where they are equal).
    - ``periodic``: ``sin`` and ``cos`` of ``2 pi f n / N`` for every frequency ``f``.

    So every feature lies in [-1, 1] at any horizon, however far outside the range.
    """

    kinds: tuple[TimeKind, ...] = ()
    """Features, in order; none of them is an objective that does not know the time."""
    horizons: HorizonRange | None = None
    """Range that scales 'remaining' and 'log_horizon'; these two need it, and refuse clocks of another unit."""
    frequencies: tuple[float, ...] = (1.0,)
    """Periods per horizon of 'periodic'."""
    ablation: ClockAblation = ClockAblation()
    """A wrong clock to read, for experiments."""

    def __post_init__(self) -> None:
        if isinstance(self.kinds, tuple):
            for kind in self.kinds:
                _one_of("time feature", kind, get_args(TimeKind))
        check(self)
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"time features are {', '.join(self.kinds)}; each can be there once only")
        needy = [kind for kind in self.kinds if kind in OF_THE_LENGTH]
        if needy and self.horizons is None:
            raise ValueError(f"time feature {needy[0]!r} needs the range of horizons to be trained at")
        if "periodic" in self.kinds and not self.frequencies:
            raise ValueError("time feature 'periodic' needs at least one frequency")

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every number, e.g. ``("fraction", "sin 1", "cos 1")``."""
        waves = tuple(f"{wave} {f:g}" for f in self.frequencies for wave in ("sin", "cos"))
        return tuple(name for kind in self.kinds for name in (waves if kind == "periodic" else (kind,)))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.names)

    def features(self, clock: Clock) -> Float[Array, " F"]:
        """The features now, float32 ``[size]``.

        Raises:
            ValueError: a feature reads the horizon's length and the clock has another unit than the range.
        """
        return _features(self, clock)


NO_TIME = TimeFeatures()
"""No feature: an objective that does not know the time."""
