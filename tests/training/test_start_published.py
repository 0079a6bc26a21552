"""Runs that start from a published model: its parameters in every seed, and the sentences where none fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import pytest
from same import assert_equal
from small_models import LLAMA, written

from jaxrl_envs.registry import make
from jaxrl_evolve import TrainConfig, random
from jaxrl_evolve.networks.decoder.pretrained import load_pretrained
from jaxrl_evolve.training.experiment import build, traced
from jaxrl_evolve.training.start import begin

TASK = ("token/sum-mod", {"numbers": "2", "modulus": "5"})
SHAPE = {
    "layers": 2, "width": 8, "heads": 2, "kv_heads": 1, "head_dim": 6, "mlp": 10, "rope_base": 100.0,
    "epsilon": 1e-3, "tied": False, "context": 16,
}  # fmt: skip


def configured(
    start: Path | str, shape: dict[str, Any] | None = None, **changes: Any
) -> TrainConfig[Any, Any]:
    own = {f"network.decoder.{name}": value for name, value in (SHAPE | (shape or {})).items()}
    return TrainConfig.preset(
        *("dpo", TASK[0]),
        **{
            "env_options": TASK[1],
            "steps": 8 * 12,
            "num_envs": 8,
            "rollout_length": 12,
            "seeds": 2,
            "start": str(start),
            "learner": {"group": 4, **own},
            "hp": {"learning_rate": 0.0},
            "evaluation": {"times": 1, "episodes": 2, "final_episodes": 2},
        }
        | changes,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("published") / "model"
    tokens = make(TASK[0]).action_space
    written(folder, {**LLAMA, "vocab_size": tokens.n})
    return folder


def test_learner_and_reference_start_from_the_model(model: Path, tmp_path: Path):
    config, experiment = configured(model), build(configured(model))
    found, start = begin(config, experiment)
    assert start is not None and len(found.start_sha256) == 64
    fresh = jax.jit(experiment.learner.init)(random.key(1), traced(config.hp))
    adopted = start.adopt(fresh, jax.tree.map(lambda x: x[0], start.learner_state))
    params = load_pretrained(model, context=16).params
    for own in (adopted.params, adopted.reference.actor):
        assert_equal(own, params)
    assert_equal(adopted.optimiser, fresh.optimiser)
    # Its weights are told from others.
    other = tmp_path / "model"
    written(other, {**LLAMA, "vocab_size": make(TASK[0]).action_space.n})
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    assert begin(configured(other), experiment)[0].start_sha256 != found.start_sha256


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"shape": {"layers": 1, "rope_base": 50.0}},
            r"a published model of another shape than this run's network; its settings are learner.network.decoder.layers 2, learner.network.decoder.rope_base 100",
        ),
        ({"shape": {"context": 64}}, "context is 64; the model in .* was made for 32 tokens"),
        ({"run": ":1"}, "model has 1 runs, counted from 0"),
        ({"env_options": {}, "env": "token/sorting"}, "vocab_size is 16; the task has [0-9]+ tokens"),
        ({"algorithm": "ppo", "env": "CartPole-v1"}, "published model, and the network of ppo on CartPole-v1 is no decoder"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_refused_in_a_sentence(model: Path, changes: dict[str, Any], said: str):
    changes = dict(changes)
    start = f"{model}{changes.pop('run', '')}"
    if changes.get("algorithm") == "ppo":
        config = TrainConfig.preset("ppo", "CartPole-v1", start=start)
    else:
        env = changes.pop("env", TASK[0])
        config = configured(start, changes.pop("shape", None), **changes)
        config = config if env == TASK[0] else TrainConfig.preset("dpo", env, start=start, learner={"network.decoder.context": 32})  # fmt: skip
    with pytest.raises(ValueError, match=said):
        begin(config, build(config))
