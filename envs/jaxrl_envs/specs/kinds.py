"""What can be done with a spec of whichever language, beside what `Language` says: played, drawn, looked at more closely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxrl_envs.specs.craftax.model import CraftaxSpec
from jaxrl_envs.specs.language import Language, Spec


class Checked(NamedTuple):
    """What a closer look says.

    Attributes:
        reasons: why a spec is refused, a sentence each; empty if it holds.
        told: what was measured, a sentence.
    """

    reasons: tuple[str, ...]
    told: str = ""


class Kind(NamedTuple):
    """Specs of one language.

    Attributes:
        language: of theirs.
        frame: ``(state, params, spec) -> uint8 [H, W, 3]``, a picture with its legend.
        check: ``(spec, seed, resets, episodes, tries) -> Checked``: whether goals can come about, so many starts, so many episodes, and so
            many tries of a scripted player, of which one must win unless there are none.
    """

    language: Language
    frame: Callable[[Any, Any, Spec], np.ndarray]
    check: Callable[[Spec, int, int, int, int], Checked]


def kind_of(spec: Spec) -> Kind:
    """The kind that a spec is of; what it needs is imported now."""
    if isinstance(spec, CraftaxSpec):
        from jaxrl_envs.specs.craftax.check import check
        from jaxrl_envs.specs.craftax.language import CRAFTAX
        from jaxrl_envs.specs.craftax.picture import render, with_legend

        return Kind(CRAFTAX, lambda state, params, _: with_legend(render(state, params)), check)
    from jaxrl_envs.specs import picture
    from jaxrl_envs.specs.grid import GRID

    drawn = lambda state, params, spec: picture.with_legend(picture.render(state, params), spec, state)
    return Kind(GRID, drawn, _check_grid)


def _check_grid(spec: Spec, seed: int, resets: int, episodes: int, tries: int) -> Checked:
    from jaxrl_envs.specs.ladder import LadderConfig, validate

    config = LadderConfig(resets=resets, episodes=episodes, batch=1, tries=tries)
    verdict = validate([spec], seed, config)[0]
    if not verdict.accepted:
        return Checked(verdict.reasons)
    shares = {**verdict.starts, **verdict.plays}
    won = ""
    if verdict.tries:
        won = f"; of {tries} tries a scripted player wins {100 * verdict.tries['won']:.0f} %"
    elif tries:
        won = "; the scripted player plays no carrier, so it made no tries"
    return Checked(
        (),
        f"sound in {100 * shares['sound']:.0f} % of {resets} starts; of {episodes} episodes random actions win "
        f"{100 * shares['random']:.0f} %, doing nothing {100 * shares['idle']:.0f} %{won}",
    )
