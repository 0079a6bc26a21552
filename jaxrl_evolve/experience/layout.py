"""What is static of a replay buffer, and whether so large a one can be learned from."""

from __future__ import annotations

from typing import NamedTuple

from jaxrl_envs.contract import NO_STACK, Stack

_MOST = 2**31 - 1  # rows and slots are drawn as one int32


class Layout(NamedTuple):
    """What is static of a buffer.

    Attributes:
        ahead: steps of a window, ``max(n, K)``.
        stack: how observations are stacked.
        prioritised: whether rows have priorities.
        levels: the lowest and highest number of an observation, to keep it as the nearest of 256 levels between them, a byte each;
            None to keep it as it is. Exact for zeros and ones, and for whole numbers from 0 to 255.
    """

    ahead: int = 1
    stack: Stack = NO_STACK
    prioritised: bool = False
    levels: tuple[float, float] | None = None

    @property
    def before(self) -> int:
        """Rows before its start that a window reads, for the oldest frames of its first stack."""
        return self.stack.frames - 1


def rows_for(capacity: int, num_envs: int, length: int) -> int:
    """Rows of a buffer that holds at least ``capacity`` steps and whole rollouts of ``length``.

    Raises:
        ValueError: so many steps can't be counted by an int32.
    """
    rows = -(-capacity // (num_envs * length)) * length
    if rows * num_envs > _MOST:
        raise ValueError(
            f"capacity is {capacity}, in whole rollouts {rows * num_envs}; it must be at most {_MOST}"
        )
    return rows


def check_capacity(layout: Layout, capacity: int, num_envs: int, length: int) -> int:
    """Rows of a buffer of so many steps, for rollouts of ``length``.

    Raises:
        ValueError: it is too small for a window, or larger than int32 can count.
    """
    rows, needed = rows_for(capacity, num_envs, length), layout.before + layout.ahead + 1 + length
    if rows < needed:
        raise ValueError(
            f"capacity is {capacity}, which is {rows} steps of each of {num_envs} environments; windows of {layout.ahead} "
            f"steps and stacks of {layout.stack.frames} need at least {needed}, a capacity of {needed * num_envs}"
        )
    return rows


def check_batch(layout: Layout, capacity: int, warm_up: int, batch: int, num_envs: int, length: int) -> None:
    """See that a full buffer has as many windows as a batch, and that there are as many steps when the first batch is drawn.

    Windows are drawn with replacement, so nothing else would tell: a batch of one and the same step is learned from as any other.

    Args:
        layout: what is static.
        capacity: steps that the buffer holds at least.
        warm_up: environment steps before the first batch is drawn.
        batch: windows of a batch.
        num_envs: parallel environments.
        length: steps of a rollout.

    Raises:
        ValueError: `check_capacity`'s, or fewer windows or steps than a batch.
    """
    rows = check_capacity(layout, capacity, num_envs, length)
    around = layout.before + layout.ahead
    needed = around + -(-batch // num_envs)
    if rows < needed:
        raise ValueError(
            f"capacity is {capacity}, in which {(rows - around) * num_envs} windows of {layout.ahead} steps and stacks of {layout.stack.frames} "
            f"begin; batch is {batch}, which needs a capacity of at least {needed * num_envs}"
        )
    stored = max(-(-warm_up // (num_envs * length)), 1) * num_envs * length
    if stored < batch:
        raise ValueError(
            f"warm_up is {warm_up}, after which {stored} steps are stored, fewer than batch ({batch}); it must be at least {batch}"
        )
