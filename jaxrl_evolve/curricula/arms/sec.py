"""SEC, the self-evolving curriculum (arXiv 2505.14970): softmax over a moving average of each arm's |A|."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array

from jaxrl_evolve.curricula.arms.bandit import Bandit, Feedback, Hyperparameters, filled
from jaxrl_evolve.curricula.arms.choice import chosen


def sec(hold: bool = True) -> Bandit:
    """``Q <- (1 - step) Q + step r`` and a softmax; ``Q`` begins at ``optimism``.

    Args:
        hold: leave arms that were not drawn as they are (but for ``reversion``), as the paper has it. The released code
            gives them a reward of 0 instead: what misses a batch at step 1/2 is worth half.
    """

    def update(key: Array, q: Array, feedback: Feedback, hp: Hyperparameters) -> Array:
        del key
        moved = q + hp.step * (jnp.where(feedback.seen, feedback.reward, 0.0) - q)
        if not hold:
            return moved
        return jnp.where(feedback.seen, moved, q + hp.reversion * (hp.optimism - q))

    return Bandit(
        lambda arms, hp: filled(arms, hp.optimism),
        lambda key, q, available, hp: chosen(q, available, hp),
        update,
    )
