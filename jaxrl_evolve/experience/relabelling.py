"""A replay buffer whose rewards are told when it is read: by a comparison of episodes, or by a model that goes on learning.

What a step is worth may change long after it was lived. A buffer that is written anew whenever it does would cost as much as it is
large; here only what is drawn is looked up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Bool, Float

from jaxrl_evolve.experience.layout import Layout
from jaxrl_evolve.experience.replay import Drawn, Replay, draw


class Relabelled(NamedTuple):
    """A replay buffer, and what the rewards of its steps are told by.

    Attributes:
        replay: the buffer.
        told: whatever the `Relabel` reads besides.
        ready: bool scalar, whether there is anything to learn from.
    """

    replay: Replay
    told: Any
    ready: Bool[Array, ""]


class Rewards(NamedTuple):
    """What was told of steps that were drawn.

    Attributes:
        reward: float32 ``[B, H]``, in place of those of the windows.
        known: bool ``[B]``; where it is False the window is not to be learned from.
        metrics: float32 scalars.
    """

    reward: Float[Array, "B H"]
    known: Bool[Array, " B"]
    metrics: dict[str, Array]


@runtime_checkable
class Relabel(Protocol):
    """How rewards are told."""

    def __call__(self, key: Array, drawn: Drawn, store: Relabelled, /) -> Rewards:
        """Of what was drawn from ``store.replay``; pure."""
        ...


def draw_relabelled(
    layout: Layout, relabel: Relabel, key: Array, store: Relabelled, batch: int
) -> tuple[Drawn, Rewards]:
    """Like `replay.draw`, with the rewards of now in the windows.

    Args:
        layout: what is static of the buffer.
        relabel: tells the rewards.
        key: of the draw and of ``relabel``.
        store: the buffer.
        batch: how many windows.
    """
    key_draw, key_told = jax.random.split(key)
    drawn = draw(layout, key_draw, store.replay, batch)
    told = relabel(key_told, drawn, store)
    return drawn._replace(window=replace(drawn.window, reward=told.reward)), told
