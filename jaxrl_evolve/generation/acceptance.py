"""The ladder's last rungs: the agent itself in each new spec before the spec is taken up, and a witness where it does not succeed.

After the dynamic tasks of XLand (Open-Ended Learning Team 2021, arXiv 2107.12808): a task is for an agent that is not too good at it yet, and
that does better than a control policy. Controls that do nothing or anything were judged by the rung before; what is left is what the
agent does already, which is refused, and what it never does, which is left alone for a while and not deleted, since it may be later.
So is what a scripted player does not win either, where one is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxrl_evolve.curricula.statistics import SUCCESS
from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.proposal import Proposal
from jaxrl_evolve.generation.setting import Setting, Validated
from jaxrl_evolve.runs.evaluation import Episodes

MASTERED = "mastered"
"""The word that such rejections are counted by."""


def trials_of(
    proposals: Sequence[Proposal | Entry], play: Callable[[Mapping[str, Any]], Episodes]
) -> tuple[dict[str, Belief], int]:
    """By identity, episodes of the agent in each spec, and the steps that all took.

    Args:
        proposals: or specs that are in the archive already.
        play: ``data -> Episodes``.
    """
    found, steps = {}, 0
    for proposal in proposals:
        played = play(proposal.data)
        won = int((played.info[SUCCESS] > 0).sum())
        found[proposal.identity] = Belief(won, played.returns.size - won)
        steps += int(played.lengths.sum())
    return found, steps


def mastered(
    proposals: Sequence[Proposal], trials: Mapping[str, Belief], most: float
) -> dict[str, tuple[Proposal, tuple[str, ...]]]:
    """By identity, proposals that the agent can do already, with the reason.

    Args:
        proposals: that hold otherwise.
        trials: by identity, episodes of the agent.
        most: the share of successes from which on a spec is mastered.
    """
    found = {}
    for proposal in proposals:
        trial = trials[proposal.identity]
        if trial.won >= most * trial.episodes:
            why = f"the agent succeeds in {trial.won:g} of {trial.episodes:g} episodes; it must be fewer than {most:.0%}"
            found[proposal.identity] = (proposal, (MASTERED, why))
    return found


def doubts_of(
    proposals: Sequence[Proposal],
    trials: Mapping[str, Belief],
    setting: Setting,
    config: GenerateConfig,
    cycle: int,
) -> tuple[dict[str, tuple[Proposal, tuple[str, ...]]], int]:
    """By identity, proposals that nobody was seen to succeed in, with reasons, and the steps that looking took.

    Args:
        proposals: that hold otherwise.
        trials: by identity, episodes of the agent: where it succeeded, it is the witness.
        setting: has a scripted player for those in which it did not.
        config: how often that tries; not at all where `GenerateConfig.witness` is 0.
        cycle: of the loop.
    """
    if setting.witness is None or not config.witness:
        return {}, 0
    asked = [p for p in proposals if p.identity not in trials or not trials[p.identity].won]
    said = setting.witness(asked, config.seed + cycle, config.witness) if asked else Validated([])
    pairs = zip(asked, said.verdicts, strict=True)
    return {p.identity: (p, tuple(v.reasons)) for p, v in pairs if v.reasons}, said.steps


def unproved(archive: Archive, doubts: Mapping[str, tuple[Proposal, tuple[str, ...]]]) -> Archive:
    """With those left alone that have no witness; counted, with the reasons, and not deleted.

    Args:
        archive: in which they are.
        doubts: of `doubts_of`; the first reason is the word that is counted by.
    """
    retry = archive.cycle + archive.config.retry
    refusals = [(reasons[0], reasons[1:]) for _, reasons in doubts.values()]
    left = [
        replace(archive.entries[i], status="quarantined", quarantines=1, retry=retry, reasons=reasons)
        for i, (_, reasons) in doubts.items()
    ]
    return archive.replaced(left).counting(refusals)


def set_aside(archive: Archive, trials: Mapping[str, Belief]) -> Archive:
    """With those left alone in which the agent never succeeded; nothing is ranked by the episodes that told."""
    hopeless = [archive.entries[i] for i, t in trials.items() if i in archive.entries and t.won == 0]
    retry = archive.cycle + archive.config.retry
    return archive.replaced(
        [
            replace(e, status="quarantined", quarantines=1, retry=retry)
            for e in hopeless
            if e.status == "active"
        ]
    )
