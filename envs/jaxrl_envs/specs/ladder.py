"""The validation ladder, from what costs nothing to what is played: each rung refuses what would be wasted on the next.

1. Schema: fields, names, contradictions (`Language.read`).
2. Feasibility: could success come about at all?
3. Resets: numbers, a free start, not won or lost already, what is needed there and within reach.
4. Policies that know nothing: neither doing nothing nor random actions should do.
6. A witness, where it is asked for: a scripted player (`scripted`) that wins once shows that a spec can be won.

All specs of one size and body, with ranges in rules and predicates or without, that a rung is asked for are one batch on the device. The fifth rung costs learning, an agent against these controls,
and is for whoever has an agent (`jaxrl_evolve.generation.acceptance`).
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl_envs.seeds import key_of
from jaxrl_envs.specs import trials
from jaxrl_envs.specs.caps import BUILT_IN, PRESETS
from jaxrl_envs.specs.encoding import encode
from jaxrl_envs.specs.feasibility import infeasible
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.instructions import ends
from jaxrl_envs.specs.language import Data, SpecError
from jaxrl_envs.specs.model import BODIES, GridSpec
from jaxrl_envs.specs.ranges import has_ranges
from jaxrl_envs.specs.trials import Plays, Starts, Tries
from jaxrl_envs.specs.waiting import chained

WITNESS = "witness"
RUNGS = ("schema", "feasibility", "resets", "policies", WITNESS)


@dataclasses.dataclass(frozen=True)
class LadderConfig:
    """How much is asked of specs.

    Attributes:
        resets: starts that are looked at.
        sound: the least share of them in which what success needs is there and within reach.
        episodes: of each of the two policies.
        steps: after which they are cut off; what could still come by waiting is waited for (`waits`).
        idle: the largest share of episodes that doing nothing may win.
        random: the largest share that random actions may win.
        batch: specs that are played side by side; fewer are filled up, so that the program is the same.
        tries: of the scripted player, of which one must win; 0 asks for no witness.
        way: steps after which a try is cut off.
    """

    resets: int = 64
    sound: float = 0.9
    episodes: int = 8
    steps: int = 128
    idle: float = 0.0
    random: float = 0.75
    batch: int = 64
    tries: int = 0
    way: int = 256

    def __post_init__(self) -> None:
        for name in ("resets", "episodes", "steps", "batch", "way"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.tries < 0:
            raise ValueError(f"tries is {self.tries}; it must be at least 0")
        for name in ("sound", "idle", "random"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")


class Verdict(NamedTuple):
    """What became of one spec.

    Attributes:
        spec: as it was read; None where it could not be.
        rung: that refused it; empty where none did.
        reasons: sentences, why.
        starts, plays: what was measured, numbers by name; empty where it was not.
        tries: of the scripted player, the share that ``won``, and under ``held`` of each predicate the share in which it has held.
    """

    spec: GridSpec | None
    rung: str
    reasons: tuple[str, ...]
    starts: dict[str, float]
    plays: dict[str, float]
    tries: Mapping[str, Any] = MappingProxyType({})

    @property
    def accepted(self) -> bool:
        """Whether it passed all rungs."""
        return not self.rung


_Rung = Callable[[jax.Array, Sequence[Verdict], str, LadderConfig], list[Verdict]]


def validate(
    sources: Sequence[GridSpec | Data | str | bytes], seed: int = 0, config: LadderConfig | None = None
) -> list[Verdict]:
    """A verdict on each spec.

    Args:
        sources: specs, or what they are read from.
        seed: of all that is played.
        config: how much is asked.
    """
    config = config or LadderConfig()
    verdicts = [_still(source) for source in sources]
    return _climbed(verdicts, (_reset, _play, *([_try] if config.tries else [])), seed, config)


def witnessed(specs: Sequence[GridSpec], seed: int, config: LadderConfig) -> list[Verdict]:
    """Verdicts of the last rung alone, on specs that the others have let pass.

    Args:
        specs: which.
        seed: of the tries.
        config: how many, one at least.
    """
    return _climbed([Verdict(spec, "", (), {}, {}) for spec in specs], (_try,), seed, config)


def _climbed(
    verdicts: list[Verdict], rungs: Sequence[_Rung], seed: int, config: LadderConfig
) -> list[Verdict]:
    """What is left after rungs that play, each of what the one before has left."""
    for rung in rungs:
        for size, *program in itertools.product(PRESETS, BODIES, (False, True)):
            open_ones = [
                i
                for i, v in enumerate(verdicts)
                if v.accepted and v.spec is not None and v.spec.size == size and _program(v.spec) == program
            ]
            key = jax.random.fold_in(key_of(seed), RUNGS.index(_NAMES[rung]))
            found = _in_batches(rung, key, [verdicts[i] for i in open_ones], size, config)
            for i, verdict in zip(open_ones, found, strict=True):
                verdicts[i] = verdict
    return verdicts


def _in_batches(
    rung: _Rung, key: jax.Array, verdicts: Sequence[Verdict], size: str, config: LadderConfig
) -> list[Verdict]:
    """The rung's verdicts on all, batch by batch; as many at once as there are cores, of which one batch does not fill two."""

    def judged(first: int) -> list[Verdict]:
        return rung(jax.random.fold_in(key, first), verdicts[first : first + config.batch], size, config)

    firsts = range(0, len(verdicts), config.batch)
    begun = [judged(first) for first in firsts[:1]]  # by itself, so that the program is compiled once
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [verdict for found in (*begun, *pool.map(judged, firsts[1:])) for verdict in found]


def _program(spec: GridSpec) -> list[Any]:
    """What beside the size decides about the program: specs that differ in it are played apart."""
    return [spec.agent.body, has_ranges(spec)]


def counted(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many specs each rung refused, and how many passed, in the order of the rungs."""
    rungs = collections.Counter(verdict.rung for verdict in verdicts)
    return {**{rung: rungs[rung] for rung in RUNGS}, "accepted": rungs[""]}


def _still(source: GridSpec | Data | str | bytes) -> Verdict:
    """The rungs that play nothing."""
    try:
        spec = source if isinstance(source, GridSpec) else GRID.read(source)
    except SpecError as error:
        return Verdict(None, "schema", tuple(map(str, error.faults)), {}, {})
    reasons = infeasible(spec)
    return Verdict(spec, "feasibility" if reasons else "", tuple(reasons), {}, {})


def _specs(verdicts: Sequence[Verdict]) -> list[GridSpec]:
    return [verdict.spec for verdict in verdicts if verdict.spec is not None]


def _reset(key: jax.Array, verdicts: Sequence[Verdict], size: str, config: LadderConfig) -> list[Verdict]:
    specs = _specs(verdicts)
    params = trials.stacked([encode(spec) for spec in specs], config.batch)
    wanted = trials.stacked([trials.wanted_of(spec) for spec in specs], config.batch)
    starts: Starts = jax.device_get(trials.starts_of(PRESETS[size], config.resets)(key, params, wanted))
    starts = jax.tree.map(partial(trials.exact_share, config.resets), starts)
    found = []
    for i, verdict in enumerate(verdicts):
        mine = Starts(*(leaf[i] for leaf in starts))
        said = {name: float(getattr(mine, name)) for name in ("finite", "free", "won", "lost", "sound")}
        reasons = _about_starts(mine, specs[i], config)
        found.append(verdict._replace(rung="resets" if reasons else "", reasons=tuple(reasons), starts=said))
    return found


def _about_starts(starts: Starts, spec: GridSpec, config: LadderConfig) -> list[str]:
    percent = lambda share: f"{100 * float(share):.0f} % of {config.resets} starts"
    reasons = []
    if starts.finite < 1:
        reasons.append(f"in {percent(1 - starts.finite)} an observation has a number that is none")
    if starts.free < 1:
        reasons.append(f"in {percent(1 - starts.free)} the agent stands on what cannot be walked on")
    if starts.won > 0:
        reasons.append(f"success holds from the beginning in {percent(starts.won)}")
    if starts.lost > 0:
        reasons.append(f"the episode is lost from the beginning in {percent(starts.lost)}")
    if starts.sound < config.sound:
        names = [*BUILT_IN, *(t.name for t in spec.types)]
        worst = int(np.argmax(starts.missing))
        reasons.append(
            f"{names[worst]!r}, without which there is no success, is missing or out of reach in {percent(starts.missing[worst])}; "
            f"all that is needed must be there in {100 * config.sound:.0f} %"
        )
    return reasons


def waits(spec: GridSpec, config: LadderConfig) -> int:
    """Steps for which an episode of doing nothing lasts: no fewer than others, and as long as survival that is asked for, two rounds of the
    slowest timer, and rules that come to pass by themselves, one after the other, would take.
    """
    asked = [ends(p.number)[1] for p in spec.predicates if p.kind == "survived"]
    rounds = [2 * ends(rule.every)[1] for rule in spec.rules if rule.when == "timer"]
    return int(min(spec.time_limit, max(config.steps, *asked, *rounds, chained(spec))))


def _play(key: jax.Array, verdicts: Sequence[Verdict], size: str, config: LadderConfig) -> list[Verdict]:
    specs = _specs(verdicts)
    params = trials.stacked([encode(spec) for spec in specs], config.batch)
    waiting = trials.stacked([np.int32(waits(spec, config)) for spec in specs], config.batch)
    program = trials.plays_of(PRESETS[size], config.episodes, config.steps)
    plays: Plays = jax.device_get(program(key, params, waiting))
    # Of as many again, which holds halves of so many as well.
    plays = jax.tree.map(partial(trials.exact_share, 2 * config.episodes), plays)
    found = []
    for i, verdict in enumerate(verdicts):
        mine = {name: float(leaf[i]) for name, leaf in plays._asdict().items()}
        percent = lambda share: f"{100 * share:.0f} % of {config.episodes} episodes"
        reasons = []
        if mine["finite"] < 1:
            reasons.append("an observation or a reward is no finite number")
        if mine["idle"] > config.idle:
            reasons.append(
                f"doing nothing wins {percent(mine['idle'])}; it may win {100 * config.idle:.0f} %"
            )
        if mine["random"] > config.random:
            reasons.append(
                f"random actions win {percent(mine['random'])}; they may win {100 * config.random:.0f} %"
            )
        found.append(verdict._replace(rung="policies" if reasons else "", reasons=tuple(reasons), plays=mine))
    return found


def _try(key: jax.Array, verdicts: Sequence[Verdict], size: str, config: LadderConfig) -> list[Verdict]:
    specs = _specs(verdicts)
    if specs[0].agent.body != "walker":
        return list(verdicts)  # the scripted player does not play by other rules, so it says nothing
    params = trials.stacked([encode(spec) for spec in specs], config.batch)
    tries: Tries = jax.device_get(trials.tries_of(PRESETS[size], config.tries, config.way)(key, params))
    tries = jax.tree.map(partial(trials.exact_share, config.tries), tries)
    found = []
    for i, (verdict, spec) in enumerate(zip(verdicts, specs, strict=True)):
        held = {p.name: float(share) for p, share in zip(spec.predicates, tries.held[i], strict=False)}
        won = float(tries.won[i])
        reasons = () if won else tuple(_without_witness(spec, held, config))
        rung = WITNESS if reasons else ""
        found.append(verdict._replace(rung=rung, reasons=reasons, tries={"won": won, "held": held}))
    return found


def _without_witness(spec: GridSpec, held: Mapping[str, float], config: LadderConfig) -> list[str]:
    """What of success never came about, field by field."""
    most = min(config.way, spec.time_limit)
    said = f"in {config.tries} tries of {most} steps by the scripted player"
    reasons = [
        f"success[{i}].all[{j}]: {name!r} has never held {said}"
        for i, clause in enumerate(spec.success)
        for j, name in enumerate(clause.all)
        if not held[name]
    ]
    return reasons or [f"success: what it asks for has never held together {said}"]


_NAMES: dict[_Rung, str] = {_reset: "resets", _play: "policies", _try: WITNESS}
