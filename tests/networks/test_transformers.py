"""The decoder says what Hugging Face's transformers says, of models that it describes itself; what it said is in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import transformers_logits
from compiled import program
from safetensors.numpy import save_file

from jaxrl_envs import Box, Discrete
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.pretrained import load_pretrained
from jaxrl_evolve.networks.table import make_network

SAID = json.loads(transformers_logits.CONSTANTS.read_text())


@pytest.mark.parametrize("kind", transformers_logits.KINDS)
def test_logits_are_those_of_transformers(kind: str, tmp_path: Path):
    said, tokens = SAID[kind], np.asarray(SAID["tokens"])
    shapes = {name: tuple(shape) for name, shape in said["shapes"].items()}
    save_file(transformers_logits.weights(shapes), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(said["config"]))
    model = load_pretrained(tmp_path, context=len(tokens))
    space = Box((0.0, 0.0), (model.vocabulary - 1.0, 1.0), (2,), "int32")
    config = NetworkConfig(kind="decoder", decoder=model.config)
    net = make_network(config, space, Discrete(model.vocabulary))
    obs = np.stack([tokens, np.ones_like(tokens)], -1)[:, None].astype(np.int32)
    first = np.arange(len(tokens))[:, None] == 0
    unroll: Any = program(net.unroll)
    found = unroll(model.params, obs, first, jax.device_get(net.initial_memory(1)))[0]
    np.testing.assert_allclose(found.logits[:, 0], said["logits"], rtol=1e-5, atol=1e-5)
    assert np.ptp(said["logits"]) > 0.5  # and not all alike
