"""What completions of questions that may be refused are worth, and the hill climb over that: the parts of Auto-CEI that `auto_cei.py` puts together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxrl_envs.token import EOS, PAD
from jaxrl_envs.token.refusal import REFUSE, WORDS

WORKING, LAMBDA, TRIES, STAGES = WORDS.token("+"), 0.2, 16, 8


class Judged(NamedTuple):
    """Completions ``[B]``: whether they are right, refusals, and the tokens of working."""

    right: np.ndarray
    refused: np.ndarray
    working: np.ndarray


def judge(tokens: np.ndarray, answers: np.ndarray) -> Judged:
    """What completions ``[B, L]`` are, against the right answers ``[B, 2]``; what is cut off is neither right nor refused."""
    working = (np.cumprod(tokens == WORKING, 1)).sum(1)
    padded = np.pad(tokens, ((0, 0), (0, 3)), constant_values=PAD)
    said = np.take_along_axis(padded, working[:, None] + np.arange(3), 1)
    places = (answers != PAD).sum(1)
    right_says = np.where(np.arange(3) < places[:, None], np.pad(answers, ((0, 0), (0, 1))), PAD)
    right_says[np.arange(len(answers)), places] = EOS
    same = np.where(np.arange(3) <= places[:, None], said == right_says, True).all(1)
    refused = (said[:, 0] == REFUSE) & (said[:, 1] == EOS)
    return Judged(np.asarray(same), refused, working)


def reward(seen: Judged, c1: float, c2: float) -> np.ndarray:
    """Of each completion, from -1 to 1."""
    late = np.tanh(c2 * (seen.working - c1) / 2)
    return np.where(seen.right, 1.0, np.where(seen.refused, late, -1.0))


def objective(seen: Judged) -> tuple[float, float, float]:
    """``f``, the precision of what was answered (0 if nothing was), and the share that was refused."""
    answered = ~seen.refused
    precision = float(seen.right[answered].mean()) if answered.any() else 0.0
    refused = float(seen.refused.mean())
    return (1 - LAMBDA) * precision + LAMBDA * (1 - refused), precision, refused


def beginning(working: np.ndarray, refused: np.ndarray) -> tuple[float, float, float]:
    """The first ``c1``, the step by which it moves, and ``c2``, by the lengths of what the first policy says."""
    deviation = max(float(working.std()), 1e-3)
    step = min(0.2 * deviation, 0.5)
    mean = float(working[refused].mean()) if refused.any() else float(working.mean())
    return mean + step, step, float(np.log(10) / (4 * deviation))


def climb(
    stage: Callable[[float], float], c1: float, step: float, most: int = STAGES
) -> tuple[float, list[tuple[float, float]]]:
    """The best ``c1`` of a hill climb, and what was tried.

    Args:
        stage: what is reached with a ``c1``.
        c1: the first.
        step: between neighbours.
        most: stages at most; it ends sooner where both neighbours of the best were tried and are no better.
    """
    tried = [(c1, stage(c1))]
    for _ in range(most - 1):
        best = max(tried, key=lambda one: one[1])[0]
        seen = lambda there: any(abs(there - one) < 1e-9 for one, _ in tried)
        near = [there for there in (best + step, best - step) if not seen(there)]
        if not near:
            break
        tried.append((near[0], stage(near[0])))
    return max(tried, key=lambda one: one[1])[0], tried


def kept_of(seen: Judged, c1: float, c2: float, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Which completions ``[B * TRIES]`` are imitated: of each prompt as many as were made, drawn again, those that are wrong left out."""
    worth = reward(seen, c1, c2)
    chances = np.exp(worth.reshape(-1, TRIES) / max(temperature, 0.05))
    chances /= chances.sum(1, keepdims=True)
    drawn = [i * TRIES + rng.choice(TRIES, TRIES, p=own) for i, own in enumerate(chances)]
    rows = np.concatenate(drawn)
    return rows[worth[rows] > -1]
