"""The loops by name, as data: who proposes when, which specs are played, and in what shares.

All that are for an original make the same number of environment steps, so that they can be compared; what is different is only where.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxrl_evolve.settings.names import suggestion

Order = Literal["learnability", "even"]
"""By what the generated share is split: rank of fitness, or evenly."""


class Loop(NamedTuple):
    """What a loop does in a cycle.

    Attributes:
        about: in a sentence.
        proposes: in each cycle, in the first alone, or never.
        generated: share of the steps that is made in generated specs; the rest is made in the original.
        mixed: whether both are played side by side, or one after the other, the generated ones first.
        plays: the specs of the last proposals, what is fittest of the archive, or levels of the environment's own family.
        order: by what the generated share is split.
        by_hand: instead of a proposer: children of the original by this kind of operator, as many times as the cycle says.
        fades: whether what a spec hands out is taken away, child by child, as its success rises, before anything else is proposed.
        specialists: whether each spec gets an agent of its own, which begins as that of the nearest learned spec, and nothing is for the original.
        mutates: instead of a proposer: children of informative specs.
        population: whether there are several agents, each of which plays what it finds neither too hard nor too easy.
    """

    about: str
    proposes: Literal["each", "once", "never"] = "each"
    generated: float = 0.5
    mixed: bool = False
    plays: Literal["latest", "archive", "family"] = "latest"
    order: Order = "even"
    by_hand: Literal["", "grant", "threaten"] = ""
    fades: bool = False
    specialists: bool = False
    mutates: bool = False
    population: bool = False

    @property
    def asks(self) -> bool:
        """Whether a proposer is ever asked."""
        return self.proposes != "never" and not self.by_hand and not self.mutates

    def scheduler(self, curriculum: str) -> str:
        """Which curriculum chooses what is played, if one does: of a family domain randomisation where none is named."""
        return curriculum or ("random" if self.plays == "family" else "")


LOOPS = {
    "envgen": Loop(
        "EnvGen (Zala et al. 2024): a few new specs in each cycle, then the original, in equal shares"
    ),
    "envgen-mixed": Loop(
        "EnvGen with both side by side, a fifth of the steps in the original", generated=0.8, mixed=True
    ),
    "fixed": Loop("control: the specs of the first cycle in all of them", proposes="once"),
    "easy-to-hard": Loop(
        "control: help that is taken away cycle by cycle, whatever the agent does", by_hand="grant"
    ),
    "adversarial": Loop("control: more danger in each cycle, whatever the agent does", by_hand="threaten"),
    "original-only": Loop("control: the original alone", proposes="never", generated=0.0),
    "dicode": Loop(
        "after DiCode (2026): the archive beside the original, by what is learned from each, and scaffolds that fade",
        generated=0.8,
        mixed=True,
        plays="archive",
        order="learnability",
        fades=True,
    ),
    "mutation": Loop(
        "after eva (Ye et al. 2024): children of informative specs, and the archive evenly beside the original",
        generated=0.8,
        mixed=True,
        plays="archive",
        mutates=True,
    ),
    "population": Loop(
        "after XLand (2021): agents with thresholds of what each plays, and population-based training of both",
        generated=0.8,
        mixed=True,
        population=True,
    ),
    "levels": Loop(
        "control: levels of the environment's own family beside the original, as a curriculum of levels chooses them, at random if none is named",
        proposes="never",
        generated=0.8,
        mixed=True,
        plays="family",
    ),
    "open-ended": Loop(
        "after OMNI-EPIC (Faldor et al. 2024): what is new and interesting, a specialist for each, which begins as that of the nearest learned spec",
        generated=1.0,
        specialists=True,
    ),
}


def find_loop(name: str) -> Loop:
    """The loop called ``name``.

    Raises:
        ValueError: there is none; with near matches.
    """
    if name not in LOOPS:
        raise ValueError(f"loop is {name!r}, which is not known: {suggestion(name, LOOPS)}")
    return LOOPS[name]
