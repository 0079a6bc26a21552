"""Methods by name, with the numbers that each reads and where they are looked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from jaxrl_evolve.preferences.solvers import fictitious, gradient, mirror, sppo
from jaxrl_evolve.preferences.solvers.solver import Hyperparameters, Parametrisation, Solver
from jaxrl_evolve.settings.names import suggestion


class Method(NamedTuple):
    """A method.

    Attributes:
        summary: one line.
        make: factory of the solver.
        ranges: the numbers it reads, with the lowest and the highest value that is tried, log-uniformly.
        own: numbers that come with it.
    """

    summary: str
    make: Callable[[Parametrisation], Solver]
    ranges: Mapping[str, tuple[float, float]]
    own: Hyperparameters = Hyperparameters()


_WEIGHTS, _ADAM = {"step": (0.01, 3.0)}, {"step": (0.003, 0.3)}
_DECAY, _TAU = {"decay": (1e-4, 0.1)}, {"tau": (3e-3, 1.0)}
_RATE = {"rate": (1e-3, 0.3)}

METHODS: dict[str, Method] = {
    "hedge": Method("multiplicative weights", mirror.hedge, _WEIGHTS | _DECAY),
    "omwu": Method("optimistic multiplicative weights", mirror.omwu, _WEIGHTS | _DECAY),
    "omwu_kl": Method("the same, regularised", mirror.omwu_kl, _WEIGHTS | _DECAY | _TAU),
    "nash_md": Method(
        "Nash-MD, against the mixture with the reference", mirror.nash_md, _WEIGHTS | _DECAY | _TAU
    ),
    "nash_prox": Method(
        "mirror descent inside proximal points",
        mirror.nash_prox,
        _WEIGHTS | _DECAY | _TAU | {"rate": (1e-3, 1.0)},
    ),
    "egpo": Method("extragradient", mirror.egpo, _WEIGHTS | _DECAY | _TAU),
    "fictitious_play": Method("the best answer to the past", fictitious.fictitious_play, {}),
    "spo": Method("SPO as a policy gradient", gradient.spo, _ADAM | _DECAY),
    "spo_kl": Method("SPO, regularised towards its start", gradient.spo_kl, _ADAM | _DECAY | _TAU),
    "ema_spo": Method(
        "SPO, regularised towards its moving average", gradient.ema_spo, _ADAM | _DECAY | _TAU | _RATE
    ),
    "sppo": Method("SPPO: regression on win rates", sppo.sppo, _ADAM | _DECAY | {"eta": (0.03, 3.0)}),
    "sppo_logz": Method(
        "SPPO with the samples' partition function",
        partial(sppo.sppo, baseline="logz"),
        _ADAM | _DECAY | {"eta": (0.03, 3.0)},
    ),
    "nash_md_pg": Method("Nash-MD as a policy gradient", gradient.nash_md_pg, _ADAM | _DECAY | _TAU),
    "online_ipo": Method("online IPO", gradient.online_ipo, _ADAM | _DECAY | _TAU),
    "online_dpo": Method("online DPO", gradient.online_dpo, _ADAM | _DECAY | {"tau": (0.01, 3.0)}),
    "ipo": Method("IPO on pairs of the reference", gradient.ipo, _ADAM | _DECAY | _TAU),
    "dpo": Method("DPO on pairs of the reference", gradient.dpo, _ADAM | _DECAY | {"tau": (0.01, 3.0)}),
}
"""Methods by name."""


def find_method(name: str) -> Method:
    """The method called ``name``.

    Raises:
        ValueError: none is called so; with near matches.
    """
    if name not in METHODS:
        raise ValueError(f"methods has {name!r}, which is not known: {suggestion(name, METHODS)}")
    return METHODS[name]
