"""Runs that start from a published model: a decoder's parameters from a folder with ``config.json`` and safetensors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxrl_envs import Discrete
from jaxrl_evolve import random
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.pretrained import load_pretrained
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.training.config import TrainConfig
from jaxrl_evolve.training.experiment import Experiment, traced

_OWN = ("context", "temperature")
"""Settings of a decoder that a model leaves to whoever uses it."""


def is_published(path: str) -> bool:
    """Whether a folder is that of a published model and no run's: its ``config.json`` names a kind of model."""
    try:
        told = json.loads((Path(path) / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "model_type" in told


def published_state(path: str, config: TrainConfig[Any, Any], experiment: Experiment) -> Any:
    """A learner's state as it begins, with a model's parameters in it, NumPy leaves ``[1, ...]``.

    The critic, which no such model has, is zero.

    Raises:
        ValueError: the run's network is no decoder or one of another shape, the task has other tokens, or the folder is damaged.
        ImportError: the package safetensors is not installed.
    """
    named = f"start is {path!r}, a published model"
    network = getattr(config.learner, "network", None)
    if not isinstance(network, NetworkConfig) or network.kind != "decoder":
        raise ValueError(
            f"{named}, and the network of {config.algorithm} on {config.env} is no decoder: learner.network.kind must be 'decoder'"
        )
    tokens = experiment.env.action_space
    assert isinstance(tokens, Discrete)  # as every environment of a decoder has
    model = load_pretrained(path, context=network.decoder.context, vocabulary=tokens.n)
    _check_shape(named, model.config, network.decoder)
    init = jax.jit(experiment.learner.init)
    state = jax.device_get(init(random.key(config.seed), traced(config.hp)))
    if jax.tree.structure(getattr(state, "params", None)) != jax.tree.structure(model.params):
        raise ValueError(
            f"{named}, and {config.algorithm} has no network whose parameters could be a model's"
        )
    state = dataclasses.replace(state, params=jax.device_get(model.params))
    return jax.tree.map(lambda x: np.asarray(x)[None], state)


def _check_shape(named: str, there: DecoderConfig, here: DecoderConfig) -> None:
    """Refuse settings that are not the model's, with those that are."""
    own = [each.name for each in dataclasses.fields(DecoderConfig) if each.name not in _OWN]
    same = lambda name: getattr(there, name) == getattr(here, name)
    if there.head_size == here.head_size and there.width == here.width and there.heads == here.heads:
        own.remove("head_dim")  # 0 stands for what it would be
    wrong = [name for name in own if not same(name)]
    if wrong:
        wanted = ", ".join(f"learner.network.decoder.{name} {getattr(there, name)}" for name in wrong)
        raise ValueError(f"{named} of another shape than this run's network; its settings are {wanted}")
