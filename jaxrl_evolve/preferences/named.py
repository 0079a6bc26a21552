"""Oracles as text, for the command line and for configurations: ``"flips:0.3"``, ``"bt:1+length_hack:0.1"``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

from jaxrl_evolve.preferences import oracles
from jaxrl_evolve.preferences.games import biased_rps, populations
from jaxrl_evolve.preferences.oracle import Oracle, frozen
from jaxrl_evolve.settings.names import suggestion


def _populations(*weights: float) -> Oracle:
    return oracles.populations(weights or (0.4, 0.35, 0.25))


def _sectors(first: float = 0.45, second: float = 0.45, third: float = 0.1) -> Oracle:
    return oracles.sector_rps(populations((first, second, third)).advantage)


def _sector_rps(a: float = 0.2, b: float = 0.6, c: float = 0.9) -> Oracle:
    return oracles.sector_rps(biased_rps(a, b, c).advantage)


def _cyclic(base: Oracle, share: float) -> Oracle:
    return oracles.mixed(base, _sector_rps(), share)


def _frozen(base: Oracle, seed: float = 0) -> Oracle:
    if not (float(seed).is_integer() and 0 <= seed < 2**32):
        raise ValueError(f"seed is {seed!r}; it must be a whole number of at least 0 and below 2^32")
    return frozen(base, int(seed))


ORACLES: dict[str, Callable[..., Oracle]] = {
    "max_reward": oracles.max_reward,
    "bt": oracles.bt,
    "teacher": oracles.teacher,
    "populations": _populations,
    "sectors": _sectors,
    "sector_rps": _sector_rps,
    "nonmarkov": oracles.nonmarkov,
}
"""By name, with numbers."""

CHANGES: dict[str, Callable[..., Oracle]] = {
    "flips": oracles.flip,
    "frozen": _frozen,
    "cyclic": _cyclic,
    "length_gate": oracles.length_gate,
    "length_hack": oracles.length_hack,
    "near_duplicate": oracles.near_duplicate,
}
"""What is done to an oracle, by name, with numbers; alone, to ``max_reward``."""


def oracle_from_name(text: str) -> Oracle:
    """An oracle as text: a name and what is done to it, with numbers after colons, joined by ``+``.

    Raises:
        ValueError: the text is not read so.
    """
    if not isinstance(text, str) or not text:
        raise ValueError(
            f"preference is {text!r}; it must be text such as 'flips:0.3' or 'bt:1+length_hack:0.1'"
        )
    oracle: Oracle | None = None
    for part in text.split("+"):
        name, *words = part.strip().split(":")
        if name not in ORACLES and name not in CHANGES:
            known = suggestion(name, [*ORACLES, *CHANGES])
            raise ValueError(f"preference is {text!r}; there is no {name!r}: {known}")
        if name in ORACLES and oracle is not None:
            raise ValueError(
                f"preference is {text!r}; {name} stands first or not at all: {', '.join(CHANGES)} change an oracle"
            )
        make = ORACLES.get(name) or CHANGES[name]
        base = () if name in ORACLES else (oracles.max_reward() if oracle is None else oracle,)
        oracle = _made(text, name, make, base, words)
    assert oracle is not None
    return oracle


def oracles_from_names(text: str) -> dict[str, Oracle]:
    """Several oracles as text, by the text of each: ``"flips:0.3,bt:1"``.

    Raises:
        ValueError: the text is not read so, or one is there twice.
    """
    names = [part.strip() for part in text.split(",")]
    if len({*names}) < len(names):
        raise ValueError(f"oracles is {text!r}; it must name none twice")
    return {name: oracle_from_name(name) for name in names}


def _made(
    text: str, name: str, make: Callable[..., Oracle], base: tuple[Oracle, ...], words: list[str]
) -> Oracle:
    try:
        given = [float(word) for word in words]
        if any(map(math.isnan, given)):
            raise ValueError
        inspect.signature(make).bind(*base, *given)
    except (TypeError, ValueError):
        takes = [p for p in inspect.signature(make).parameters if p != "base"]
        reads = ":".join([name, *(p.upper() for p in takes)])
        raise ValueError(f"preference is {text!r}; {name} reads {reads}, with numbers") from None
    try:
        return make(*base, *given)
    except ValueError as error:
        raise ValueError(f"preference is {text!r}: {error}") from None
