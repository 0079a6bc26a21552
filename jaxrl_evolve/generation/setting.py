"""A domain that can be played: the environment that interprets its specs, and what is checked before one is trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxrl_envs.contract import Env
from jaxrl_evolve.generation.canvas import Canvas
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.proposal import Proposal
from jaxrl_evolve.settings.later import later
from jaxrl_evolve.settings.names import suggestion


class Verdict(NamedTuple):
    """What validation says of a spec.

    Attributes:
        reasons: why it is refused; the first word is counted by. Empty if it holds.
    """

    reasons: tuple[str, ...] = ()


class Validated(NamedTuple):
    """What validation says of several.

    Attributes:
        verdicts: one for each.
        steps: environment steps that it took, at most.
    """

    verdicts: Sequence[Verdict]
    steps: int = 0


def _all_hold(proposals: Sequence[Proposal], seed: int) -> Validated:
    del seed
    return Validated([Verdict() for _ in proposals])


class Setting(NamedTuple):
    """What a loop of generated environments is run on.

    Attributes:
        domain: language, skills and operators.
        env: interprets every spec: its parameters are one. `Env.metrics` has ``success`` and ``skills``, a vector.
        encode: ``data -> params``, of the structure of `Env.params`.
        columns: ``data -> names``, the skill of each element of the metric ``skills`` in this spec; empty where it is none of the domain's.
        validate: ``(proposals, seed) -> Validated``, beyond what the language reads.
        granted: ``data -> names`` of skills that hold from the start in this spec: nobody does them there.
        canvas: what of its specs an agent that edits terrain can edit, for the proposer `editor`; None where nothing is.
        witness: ``(proposals, seed, tries) -> Validated``: reasons where a scripted player has won none of its tries; None where there is no such player.
    """

    domain: Domain
    env: Env
    encode: Callable[[Mapping[str, Any]], Any]
    columns: Callable[[Mapping[str, Any]], Sequence[str]]
    validate: Callable[[Sequence[Proposal], int], Validated] = _all_hold
    granted: Callable[[Mapping[str, Any]], Sequence[str]] = lambda data: ()
    canvas: Canvas | None = None
    witness: Callable[[Sequence[Proposal], int, int], Validated] | None = None


SETTINGS: dict[str, Callable[..., Setting]] = {
    "specs/tech-tree": later("generation.tech_tree", "tech_tree"),
    "specs/craftax": later("generation.craftax", "craftax"),
}
"""Functions ``(**options) -> Setting``, by the name of the environment."""
OPTIONS = {"specs/tech-tree": ("max_steps", "view"), "specs/craftax": ("size", "max_steps", "rarities")}
"""What these take."""


def make_setting(name: str, options: Mapping[str, Any] | None = None) -> Setting:
    """The setting called ``name``.

    Raises:
        ValueError: there is none, or it does not take the options.
        ImportError: what it needs is not installed.
    """
    if name not in SETTINGS:
        raise ValueError(f"env is {name!r}, for which nothing is generated: {suggestion(name, SETTINGS)}")
    for option in options or {}:
        if option not in OPTIONS[name]:
            hint = suggestion(option, OPTIONS[name])
            raise ValueError(f"env_options has {option!r}, which loops on {name} do not take: {hint}")
    return SETTINGS[name](**dict(options or {}))


def strange(setting: Setting, proposals: Sequence[Proposal]) -> list[str]:
    """Of specs that have no skill of the original a sentence each: they are played, and nothing that is counted can be learned there."""
    skills = [skill.name for skill in setting.domain.skills]
    return [
        f"spec {p.identity[:8]} by {p.author} has no skill of the original ({', '.join(skills)}), so none is counted in it"
        for p in proposals
        if not {*setting.columns(p.data)} & {*skills}
    ]
