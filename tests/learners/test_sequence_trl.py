"""Losses of pairs and of Nash-MD against TRL's values and gradients, committed by `benchmarks/preference_losses.py`."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl_evolve.learners.sequence_config import SequenceConfig, SequenceHyperparameters
from jaxrl_evolve.learners.sequence_losses import Answers, loss_of

KNOWN = json.loads(
    (Path(__file__).parents[2] / "benchmarks" / "results" / "preference_losses.json").read_text()
)
INPUTS = KNOWN["inputs"]
LENGTHS = np.asarray(INPUTS["lengths"])
THERE = np.arange(4)[:, None] < LENGTHS
POLICY, REFERENCE = (np.asarray(INPUTS[k], np.float32).T for k in ("policy", "reference"))
PAIRED = [0, 3, 1, 4, 2, 5]
"""Whom the losses have beside whom: a preferred one, then the other of its pair."""


def answers(order: Any, worth: Any) -> Answers:
    labels = np.tile(np.asarray([[0.5, 1.0], [0.0, 0.5]], np.float32), (3, 1, 1))
    there = jnp.asarray(THERE[:, order])
    grouped = lambda x: jnp.asarray(np.asarray(x, np.float32).reshape(3, 2))
    return Answers(
        jnp.asarray(REFERENCE[:, order]),
        jnp.asarray(REFERENCE[:, order]),
        jnp.where(there, 0, 1),
        there,
        jnp.ones((3, 2), bool),
        grouped(LENGTHS[order]),
        grouped(worth),
        jnp.asarray(labels),
    )


def found(order: Any, worths: Any, hp: SequenceHyperparameters, **settings: Any) -> tuple[float, np.ndarray]:
    """The loss, and its gradient by completion and token, in the order of the file."""
    config, given = SequenceConfig(group=2, **settings), answers(order, worths)
    loss = lambda x: loss_of(config, hp, x, jnp.zeros_like(x), given)[0]
    value, slope = jax.jit(jax.value_and_grad(loss))(jnp.asarray(POLICY[:, order]))
    back = np.empty((6, 4), np.float32)
    back[order] = np.asarray(slope).T
    return float(value), back


@pytest.mark.parametrize("beta", [0.1, 0.5])
@pytest.mark.parametrize("kind", ["sigmoid", "ipo", "sppo_hard"])
def test_pairs(kind: str, beta: float):
    """TRL's IPO takes means over tokens; its SPPO adds up both of a pair, with `eta` for the inverse of beta."""
    settings: dict[str, Any] = {
        "sigmoid": {"loss": "dpo", "reference": "first"},
        "ipo": {"loss": "ipo", "reference": "first", "logp_reduction": "mean"},
        "sppo_hard": {"loss": "sppo", "worth": "preference"},
    }[kind]
    hp = SequenceHyperparameters(beta=beta, eta=1 / beta)
    value, slope = found(PAIRED, [1, 0] * 3, hp, **settings)
    known, scale = KNOWN["trl 1.16.0"][f"{kind} {beta:g}"], 2 if kind == "sppo_hard" else 1
    np.testing.assert_allclose(scale * value, known["loss"], rtol=1e-5)
    there = THERE.T
    np.testing.assert_allclose(scale * slope[there], np.asarray(known["gradient"])[there], rtol=1e-4)


def test_nash_md():
    """TRL weighs each token by its own log-ratio, which is right for the last one only; ours by those from it on (`preferences/kl.py`)."""
    known, order = KNOWN["trl 1.13.0"]["nash_md"], list(range(6))
    settings: dict[str, Any] = {
        "loss": "reinforce",
        "worth": "preference",
        "advantage": "half",
        "aggregate": "sum",
        "reference": "first",
        "kl": "reward_to_go",
    }
    hp = SequenceHyperparameters(kl_coef=known["beta"])
    _, slope = found(order, INPUTS["probability"], hp, **settings)
    apart = np.where(THERE, POLICY - REFERENCE, 0).T
    later = apart[:, ::-1].cumsum(1)[:, ::-1] - apart
    theirs, there = np.asarray(known["gradient"]), THERE.T
    np.testing.assert_allclose(slope[there], (theirs + known["beta"] * later / 6)[there], atol=1e-6)
    last = np.arange(4) == LENGTHS[:, None] - 1
    np.testing.assert_allclose(slope[last], theirs[last], atol=1e-6)
    assert np.abs(slope - theirs)[there & ~last].max() > 1e-3
