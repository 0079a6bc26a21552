"""What an arm is worth: the number that a bandit is given of each arm after a rollout.

For binary rewards the advantages of a group of ``n`` episodes with a share ``p`` of successes have closed forms, so sums are all that
a signal needs. With ``E[p] = q``, RLOO's is unbiased for ``2 q (1 - q)``, twice the learnability of SFL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrl_evolve.settings.names import suggestion

Sums = Mapping[str, Array]
"""Sums by arm of `curricula.statistics`, float32 ``[arms]``; ``best`` and ``worst`` returns, and ``before``, the mean return
when the arm was last ``seen``."""


class Signal(NamedTuple):
    """A number of each arm.

    Attributes:
        summary: one line.
        reads: columns of `curricula.statistics.columns`.
        value: ``sums -> [arms]``; not read where there are too few.
        counts: the column that says of how many it is a mean.
        least: below so many there is no value.
        gain: whether it may be divided by what an arm costs; a share of successes may not.
        extremes: whether it reads ``best`` and ``worst``.
        told: metrics of the learner that it reads of each arm, which are called so with the arm's name after them.
    """

    summary: str
    reads: tuple[str, ...]
    value: Callable[[Sums], Array]
    counts: str = "episodes"
    least: int = 1
    gain: bool = True
    extremes: bool = False
    told: tuple[str, ...] = ()

    @property
    def critic(self) -> bool:
        """Whether it needs a critic."""
        return self.counts == "scored"

    @property
    def success(self) -> bool:
        """Whether it needs to be told what a success is."""
        return "successes" in self.reads


def grpo(p: Float[Array, ...], n: Float[Array, ...]) -> Float[Array, ...]:
    """Mean |A| of a group with a share ``p`` of successes among ``n``: centred, over the unbiased standard deviation."""
    return 2.0 * jnp.sqrt(p * (1.0 - p) * (n - 1.0) / n)


def rloo(p: Float[Array, ...], n: Float[Array, ...]) -> Float[Array, ...]:
    """Mean |A| of a group, each centred by the mean of the others."""
    return 2.0 * p * (1.0 - p) * n / (n - 1.0)


def dr_grpo(p: Float[Array, ...], n: Float[Array, ...]) -> Float[Array, ...]:
    """Mean |A| of a group, centred and not scaled; the same for every ``n``."""
    del n
    return 2.0 * p * (1.0 - p)


def _mean(column: str, counts: str) -> Callable[[Sums], Array]:
    return lambda sums: sums[column] / jnp.maximum(sums[counts], 1.0)


def _of_group(function: Callable[[Array, Array], Array]) -> Callable[[Sums], Array]:
    def value(sums: Sums) -> Array:
        n = jnp.maximum(sums["episodes"], 2.0)
        return function(jnp.clip(sums["successes"] / n, 0.0, 1.0), n)

    return value


def _change(sums: Sums) -> Array:
    now = _mean("returns", "episodes")(sums)
    return now - jnp.where(sums["seen"], sums["before"], now)


def _advantage(summary: str, column: str) -> Signal:
    return Signal(summary, ("scored", column), _mean(column, "scored"), "scored")


def _group(summary: str, function: Callable[[Array, Array], Array]) -> Signal:
    return Signal(summary, ("episodes", "successes"), _of_group(function), least=2)


_RETURNS = ("episodes", "returns")

SIGNALS: dict[str, Signal] = {
    "success": Signal(
        "share of successes", ("episodes", "successes"), _mean("successes", "episodes"), gain=False
    ),
    "return": Signal("mean return", _RETURNS, _mean("returns", "episodes"), gain=False),
    "learnability": _group("p (1 - p), unbiased", lambda p, n: 0.5 * rloo(p, n)),
    "informative": _group(
        "whether some succeeded and some failed",
        lambda p, n: ((p > 0.0) & (p < 1.0)).astype(jnp.float32),
    ),
    "grpo": _group("mean |A| as GRPO has it", grpo),
    "rloo": _group("mean |A| as RLOO has it, 2 p (1 - p)", rloo),
    "dr-grpo": _group("mean |A| as Dr. GRPO has it", dr_grpo),
    "advantage": _advantage("mean |A| by the critic", "absolute"),
    "positive-advantage": _advantage("mean max(A, 0) by the critic", "positive"),
    "negative-advantage": _advantage("mean max(-A, 0) by the critic", "negative"),
    "td": _advantage("mean squared TD error of the critic", "squared_td"),
    "progress": Signal("change of the mean return, either way", _RETURNS, lambda s: jnp.abs(_change(s))),
    "gain": Signal("change of the mean return", _RETURNS, _change),
    "spread": Signal(
        "highest less lowest return (eva)",
        ("episodes",),
        lambda s: s["best"] - s["worst"],
        least=2,
        extremes=True,
    ),
    "payoff": Signal(
        "spread of the payoffs of an oracle of preferences",
        (),
        lambda s: s["payoff_spread"],
        "compared",
        least=2,
        told=("payoff_spread", "compared"),
    ),
}
"""Signals by name."""


def find_signal(name: str) -> Signal:
    """The signal called ``name``.

    Raises:
        ValueError: none is called so; with near matches.
    """
    if name not in SIGNALS:
        raise ValueError(f"signal is {name!r}, which is not known: {suggestion(name, SIGNALS)}")
    return SIGNALS[name]
