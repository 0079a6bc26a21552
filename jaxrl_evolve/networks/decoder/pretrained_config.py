"""The shape of a published model, of its ``config.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve.files import Unreadable, one_line, parse_json, read_regular
from jaxrl_evolve.networks.decoder_config import DecoderConfig
from jaxrl_evolve.settings.names import suggestion

_MOST = 2**20
_KINDS = {"llama": False, "qwen2": True}
"""Kinds of models, and whether their queries, keys and values have biases."""
_MUST_BE: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "rope_scaling": (None,),
    "use_sliding_window": (False,),
    "partial_rotary_factor": (1.0, None),
}
"""Settings that change what is computed, and the values at which it is what a decoder computes."""


def read_config(folder: Path, error: type[ValueError]) -> tuple[DecoderConfig, int]:
    """The shape of a model, whose context is the longest that it was made for, and the size of its vocabulary.

    Args:
        folder: of the model.
        error: what is raised, with one sentence.

    Raises:
        ValueError: the file is no such configuration, or asks for what a decoder does not compute.
        OSError: it cannot be read.
    """
    path = folder / "config.json"
    if not os.path.exists(path):  # also where a name is too long to be one
        raise error(f"{path}: it is not there; the folder of a model has one")
    try:
        told = parse_json(read_regular(path, _MOST))
    except Unreadable as fault:
        raise error(f"{path}: {fault}") from None
    if not isinstance(told, dict):
        raise error(f"{path}: it must be an object of settings")
    try:
        return _shape(told)
    except ValueError as fault:
        raise error(f"{path}: {fault}") from None


def _shape(told: Mapping[str, Any]) -> tuple[DecoderConfig, int]:
    if not isinstance(kind := told.get("model_type"), str) or kind not in _KINDS:
        raise ValueError(f"model_type is {_shown(kind)}, which is not known: {suggestion(str(kind), _KINDS)}")
    for name, allowed in _MUST_BE.items():
        if name in told and told[name] not in allowed:
            raise ValueError(f"{name} is {_shown(told[name])}; a decoder can only have {allowed[0]!r}")
    heads, width = _whole(told, "num_attention_heads"), _whole(told, "hidden_size")
    given = told.get("head_dim") is not None
    config = DecoderConfig(
        layers=_whole(told, "num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=_whole(told, "num_key_value_heads", heads),
        head_dim=_whole(told, "head_dim") if given else 0,
        mlp=_whole(told, "intermediate_size"),
        context=_whole(told, "max_position_embeddings"),
        rope_base=_rope_base(told),
        epsilon=_number(told, "rms_norm_eps", 1e-6),
        tied=_switch(told, "tie_word_embeddings"),
        qkv_bias=_KINDS[str(kind)],
    )
    return config, _whole(told, "vocab_size")


def _rope_base(told: Mapping[str, Any]) -> float:
    """Of a field of its own, or, as later versions write it, of an object of settings of the positions."""
    if (inside := told.get("rope_parameters")) is None:
        return _number(told, "rope_theta", 10_000.0)
    known = {"rope_type": "default", "type": "default", "rope_theta": None}
    if not isinstance(inside, dict) or any(
        name not in known or known[name] not in (None, given) for name, given in inside.items()
    ):
        raise ValueError(
            f"rope_parameters is {_shown(inside)}; a decoder can only have a rope_theta and the rope_type 'default'"
        )
    return _number(inside if "rope_theta" in inside else told, "rope_theta", 10_000.0)


def _whole(told: Mapping[str, Any], name: str, usual: int | None = None) -> int:
    value = told.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"{name} is {_shown(value)}; it must be a whole number of at least 1")
    return value


def _number(told: Mapping[str, Any], name: str, usual: float) -> float:
    value = told.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        raise ValueError(f"{name} is {_shown(value)}; it must be a number above 0")
    return float(value)


def _switch(told: Mapping[str, Any], name: str) -> bool:
    value = told.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {_shown(value)}; it must be true or false")
    return value


def _shown(value: Any) -> str:
    return one_line(repr(value))[:80]
