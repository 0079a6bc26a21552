"""Methods by name: what makes each, which numbers it reads, and what it learns from."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from jaxrl_evolve.curricula.arms import adarft, adcl, order, pools, progress, scores, thompson, tscl, ucb
from jaxrl_evolve.curricula.arms.bandit import Bandit, Hyperparameters
from jaxrl_evolve.curricula.arms.dump import dump
from jaxrl_evolve.curricula.arms.exp3 import exp3s
from jaxrl_evolve.curricula.arms.sec import sec
from jaxrl_evolve.settings.checks import check, whole
from jaxrl_evolve.settings.names import suggestion


class Method(NamedTuple):
    """A method.

    Attributes:
        summary: one line.
        make: its factory; what it takes are static options.
        reads: numbers of `Hyperparameters` that it reads.
        signal: what it learns from by default.
        own: numbers that come with it.
        successes: whether it takes what it is given for a share of successes, so that no other signal will do.
    """

    summary: str
    make: Callable[..., Bandit]
    reads: tuple[str, ...]
    signal: str
    own: Hyperparameters = Hyperparameters()
    successes: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Static options with their defaults."""
        left = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in left if p.name not in _fixed(self.make)}


def _fixed(make: Callable[..., Bandit]) -> Mapping[str, Any]:
    return make.keywords if isinstance(make, partial) else {}


_SOFTMAX = ("temperature", "perplexity", "floor")
_POSTERIOR = ("discount", "prior", "floor")

METHODS: dict[str, Method] = {
    "uniform": Method("every arm alike", order.uniform, (), "return"),
    "ordered": Method(
        "the first arm that is not mastered",
        partial(order.ordered, reverse=False),
        (*_POSTERIOR, "mastery"),
        "success",
        successes=True,
    ),
    "reverse": Method(
        "the last arm that is not mastered",
        partial(order.ordered, reverse=True),
        (*_POSTERIOR, "mastery"),
        "success",
        successes=True,
    ),
    "filter": Method(
        "uniform over the arms whose last group had an advantage",
        pools.filter_only,
        ("floor",),
        "success",
        Hyperparameters(floor=0.1),
        successes=True,
    ),
    "pools": Method(
        "easy, hard and other arms, with fixed shares",
        pools.pools,
        (*_POSTERIOR, "easy", "hard", "width"),
        "success",
        Hyperparameters(floor=0.0),
        successes=True,
    ),
    "learnability": Method(
        "posterior p (1 - p) at a target perplexity",
        scores.learnability,
        (*_SOFTMAX, "discount", "prior"),
        "success",
        Hyperparameters(perplexity=0.5),
        successes=True,
    ),
    "adarft": Method(
        "AdaRFT: a target difficulty that follows success",
        adarft.adarft,
        ("step", "gain", "target", "temperature", "floor"),
        "success",
        Hyperparameters(step=0.5, temperature=0.0, floor=0.0),
        successes=True,
    ),
    "sec": Method(
        "SEC as in the paper: a softmax of averaged |A|",
        partial(sec, hold=True),
        ("step", *_SOFTMAX, "optimism", "reversion"),
        "advantage",
        Hyperparameters(step=0.5, floor=0.0),
    ),
    "sec-code": Method(
        "SEC as released: arms without draws have a reward of 0",
        partial(sec, hold=False),
        ("step", *_SOFTMAX, "optimism"),
        "advantage",
        Hyperparameters(step=0.5, floor=0.0),
    ),
    "dump": Method(
        "DUMP: mean |A| and an upper confidence bound, in a softmax",
        dump,
        (*_SOFTMAX, "bonus"),
        "advantage",
        Hyperparameters(temperature=0.1, floor=0.0),
    ),
    "exp3s": Method(
        "EXP3.S on learning progress",
        exp3s,
        ("step", "beta", "floor"),
        "progress",
        Hyperparameters(step=1e-3),
    ),
    "discounted-ucb": Method(
        "upper confidence bounds of discounted means",
        ucb.discounted_ucb,
        (*_SOFTMAX, "discount", "bonus"),
        "learnability",
        Hyperparameters(temperature=0.1, bonus=0.25),
    ),
    "window-ucb": Method(
        "upper confidence bounds over a window",
        ucb.sliding_window_ucb,
        (*_SOFTMAX, "bonus"),
        "learnability",
        Hyperparameters(temperature=0.1, bonus=0.25),
    ),
    "thompson": Method(
        "Thompson sampling of p (1 - p), or of p",
        thompson.thompson,
        _POSTERIOR,
        "success",
        successes=True,
    ),
    "thompson-gaussian": Method(
        "Thompson sampling of a mean",
        thompson.gaussian_thompson,
        (*_POSTERIOR, "bonus", "optimism"),
        "advantage",
    ),
    "tscl-online": Method(
        "slopes by a moving average",
        tscl.online,
        ("step", *_SOFTMAX, "optimism"),
        "return",
        Hyperparameters(step=0.1, temperature=0.0, floor=0.1),
    ),
    "tscl-naive": Method(
        "slopes of one stretch after the other",
        tscl.naive,
        ("step", *_SOFTMAX, "optimism"),
        "return",
        Hyperparameters(step=0.1, temperature=0.0, floor=0.1),
    ),
    "tscl-window": Method(
        "slopes of the last scores",
        tscl.windowed,
        _SOFTMAX,
        "return",
        Hyperparameters(temperature=0.0, floor=0.1),
    ),
    "tscl-sampling": Method(
        "one of the last differences of scores, drawn",
        tscl.sampling,
        _SOFTMAX,
        "return",
        Hyperparameters(temperature=0.0, floor=0.1),
    ),
    "learning-progress": Method(
        "a quick average of success against a slow one",
        progress.learning_progress,
        ("fast", "slow", "reweight", "floor"),
        "success",
        successes=True,
    ),
    "omni": Method(
        "learning progress of what is interesting",
        progress.omni,
        ("fast", "slow", "reweight", "floor", "dull"),
        "success",
        # OMNI measures all arms anew now and then. Here only draws measure, so an arm without a success would be lost for ever.
        Hyperparameters(floor=0.05),
        successes=True,
    ),
    "adcl": Method(
        "easy to hard in windows that are measured anew",
        adcl.adcl,
        _POSTERIOR,
        "success",
        Hyperparameters(floor=0.0),
        successes=True,
    ),
    "eva": Method(
        "in proportion to highest less lowest return",
        scores.eva,
        ("step", "floor", "optimism", "reversion"),
        "spread",
        Hyperparameters(optimism=1.0),
    ),
}
"""Methods by name; the names are those of `names.ARM_CURRICULA`."""


def find_method(name: str) -> Method:
    """The method called ``name``.

    Raises:
        ValueError: none is called so; with near matches.
    """
    if name not in METHODS:
        raise ValueError(f"method is {name!r}, which is not known: {suggestion(name, METHODS)}")
    return METHODS[name]


def bandit_of(name: str, options: Mapping[str, Any]) -> tuple[Bandit, Hyperparameters]:
    """A method with options, and its numbers.

    Args:
        name: of the method.
        options: numbers that it reads and static options, by name.

    Raises:
        ValueError: it takes no such option (near matches), or not the value.
    """
    method = find_method(name)
    static = {key: value for key, value in options.items() if key in method.options}
    known = (*method.reads, *method.options)
    for key, value in options.items():
        if key not in known:
            hint = suggestion(key, known, "it takes") if known else "it takes none of its own"
            raise ValueError(f"curriculum_options has {key}, which {name} does not take: {hint}")
        usual = method.options.get(key)
        if isinstance(usual, bool) and not isinstance(value, bool):
            raise ValueError(f"curriculum_options.{key} is {value!r}; it must be True or False")
        if isinstance(usual, int) and not isinstance(usual, bool):
            static[key] = whole(f"curriculum_options.{key}", value, 1)
    numbers = {key: value for key, value in options.items() if key in method.reads}
    if "temperature" in numbers and "perplexity" not in numbers:
        numbers["perplexity"] = None  # the temperature that is asked for is the one that counts
    hp = dataclasses.replace(method.own, **numbers)
    check(hp, "curriculum_options")
    return method.make(**static), hp
