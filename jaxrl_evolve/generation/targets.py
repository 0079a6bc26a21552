"""Which skill the next specs are for, and what kind of change a spec calls for: by what the agent can do now."""

from __future__ import annotations

import numpy as np

from jaxrl_evolve.generation.archive import Entry
from jaxrl_evolve.generation.domain import Domain
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.offline_config import OfflineConfig


def frontier(domain: Domain, feedback: Feedback, config: OfflineConfig) -> list[str]:
    """Skills that are not done yet, and whose needs each are ready or can be handed out."""
    ready = lambda name: domain.skill(name).grantable or feedback.rate(name).mean >= config.ready
    return [
        skill.name
        for skill in domain.skills
        if feedback.rate(skill.name).mean < config.done and all(ready(need) for need in skill.needs)
    ]


def target_weights(domain: Domain, feedback: Feedback, config: OfflineConfig) -> np.ndarray:
    """Probability of each skill to be the next target, float64 ``[skills]``.

    On the frontier ``(1 / (1 + 100 p)) (1 + locked) width``: the slope of a score that is the geometric mean of shares, how many
    skills that are not ready wait for this one, and how little is known of it. `OfflineConfig.uniform` of it all is even over all
    skills, and everything is where there is no frontier.
    """
    open_ones = set(frontier(domain, feedback, config))
    weights = np.zeros(len(domain.skills))
    for i, skill in enumerate(domain.skills):
        if skill.name in open_ones:
            rate = feedback.rate(skill.name)
            locked = sum(feedback.rate(name).mean < config.ready for name in domain.after(skill.name))
            weights[i] = (1.0 + locked) * rate.width / (1.0 + 100.0 * rate.mean)
    even = np.full(len(weights), 1.0 / len(weights))
    if weights.sum() <= 0.0:
        return even
    return config.uniform * even + (1.0 - config.uniform) * weights / weights.sum()


def kinds_for(entry: Entry, config: OfflineConfig, enough: int) -> tuple[str, ...]:
    """What kind of change a spec calls for, the first choices of several being equal.

    Args:
        entry: the spec.
        config: the numbers.
        enough: episodes from which on what is believed of it counts.
    """
    if entry.belief.episodes < enough:
        return ("grant", "expand", "relocate", "cross")  # nothing is known: no reason to make it harder
    share = entry.belief.won / entry.belief.episodes
    if share >= config.easy:
        return ("fade", "expand", "threaten")
    if share < config.hard:
        return ("grant",)
    return ("relocate", "cross", "expand", "threaten")
