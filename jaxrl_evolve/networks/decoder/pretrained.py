"""Weights of small language models, as they are published: a folder with ``config.json`` and safetensors, of Llama's or Qwen2's kind.

Whose files these are is not known. Shapes in a header are compared with those that the configuration asks for before any number is
read, nothing outside the folder is opened by name, and nothing is unpickled. Each fault is one sentence.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.files import one_line
from jaxrl_evolve.networks.decoder.pretrained_config import read_config
from jaxrl_evolve.networks.decoder.shards import Shards
from jaxrl_evolve.networks.decoder_config import DecoderConfig

_BLOCK = {
    ("norm_attention", "scale"): "input_layernorm.weight",
    ("norm_mlp", "scale"): "post_attention_layernorm.weight",
    ("attention", "query", "kernel"): "self_attn.q_proj.weight",
    ("attention", "key", "kernel"): "self_attn.k_proj.weight",
    ("attention", "value", "kernel"): "self_attn.v_proj.weight",
    ("attention", "out", "kernel"): "self_attn.o_proj.weight",
    ("attention", "query", "bias"): "self_attn.q_proj.bias",
    ("attention", "key", "bias"): "self_attn.k_proj.bias",
    ("attention", "value", "bias"): "self_attn.v_proj.bias",
    ("mlp", "gate", "kernel"): "mlp.gate_proj.weight",
    ("mlp", "up", "kernel"): "mlp.up_proj.weight",
    ("mlp", "down", "kernel"): "mlp.down_proj.weight",
}
_WHOLE = {
    ("embedding",): "model.embed_tokens.weight",
    ("unembedding",): "lm_head.weight",
    ("norm", "scale"): "model.norm.weight",
}
_UNREAD = (".rotary_emb.inv_freq",)
"""Ends of names of what is computed here."""


class PretrainedError(ValueError):
    """A folder is not that of a model that can be read; the message names what is wrong."""


class Pretrained(NamedTuple):
    """A model that was read.

    Attributes:
        config: its shape, for ``NetworkConfig.decoder``.
        vocabulary: tokens that it has.
        params: of the decoder's network, float32; those of the critic, which no such model has, are zeros.
    """

    config: DecoderConfig
    vocabulary: int
    params: Any


def load_pretrained(
    folder: str | os.PathLike[str], *, context: int, vocabulary: int | None = None
) -> Pretrained:
    """The weights of a model, ``model.safetensors`` or several files with ``model.safetensors.index.json``.

    Args:
        folder: of the model.
        context: tokens that the memory holds, at most those that the model was made for.
        vocabulary: tokens of the task; None takes what the model has.

    Raises:
        PretrainedError: the folder is not that of such a model, or its tokens are not those of the task.
        ValueError: the context is no such number.
        ImportError: the package safetensors is not installed.
        OSError: a file cannot be read.
    """
    if importlib.util.find_spec("safetensors") is None:
        raise ImportError("to read a model needs safetensors: pip install 'jaxrl_evolve[export]'")
    folder = Path(folder)
    config, tokens = read_config(folder, PretrainedError)
    longest = config.context
    for name, given in {"context": context, "vocabulary": 1 if vocabulary is None else vocabulary}.items():
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
            raise ValueError(f"{name} is {given!r}; it must be a whole number of at least 1")
    if context > longest:
        raise ValueError(f"context is {context}; the model in {str(folder)!r} was made for {longest} tokens")
    config = dataclasses.replace(config, context=context)
    if vocabulary is not None and vocabulary != tokens:
        raise PretrainedError(
            f"{folder / 'config.json'}: vocab_size is {tokens}; the task has {vocabulary} tokens, and both must be the same"
        )
    shards = Shards(folder, PretrainedError)
    params = _params(shards, config, tokens)
    return Pretrained(config, tokens, params)


def _shapes(config: DecoderConfig, vocabulary: int) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Of each tensor of the files, by where it belongs; those of blocks for one block."""
    c, queries, keys = config, config.heads * config.head_size, config.kv_heads * config.head_size
    of_kernels = {"query": (queries, c.width), "key": (keys, c.width), "value": (keys, c.width)}
    of_kernels |= {"out": (c.width, queries), "gate": (c.mlp, c.width), "up": (c.mlp, c.width)}
    of_kernels |= {"down": (c.width, c.mlp)}
    shapes: dict[tuple[str, ...], tuple[int, ...]] = {}
    for path in (*_WHOLE, *_BLOCK):
        if path[-1] == "kernel":
            shapes[path] = of_kernels[path[1]]
        elif path[-1] == "bias" and c.qkv_bias:
            shapes[path] = of_kernels[path[1]][:1]
        elif path[-1] == "scale":
            shapes[path] = (c.width,)
        elif path == ("embedding",) or (path == ("unembedding",) and not c.tied):
            shapes[path] = (vocabulary, c.width)
    return shapes


def _params(shards: Shards, config: DecoderConfig, vocabulary: int) -> Any:
    shapes = _shapes(config, vocabulary)
    named = lambda layer, path: f"model.layers.{layer}.{_BLOCK[path]}"
    wanted = {_WHOLE[path]: shape for path, shape in shapes.items() if path in _WHOLE}
    for layer in range(config.layers):
        for path, shape in shapes.items():
            if path in _BLOCK:
                wanted[named(layer, path)] = shape
                shards.expect(named(layer, path), shape)  # at once: a number of layers may be a lie
    for name, shape in wanted.items():
        shards.expect(name, shape)
    _refuse_others(shards, wanted, config.tied)
    params: dict[str, Any] = {}
    for path in shapes:
        if path in _WHOLE:
            _put(params, path, shards.read(_WHOLE[path]))
            continue
        layers = [shards.read(named(layer, path)) for layer in range(config.layers)]
        turned = path[-1] == "kernel"  # kernels lie [out, in] there
        _put(params, ("blocks", *path), np.stack([x.T if turned else x for x in layers]))
    params["critic"] = {
        "kernel": np.zeros((config.width, 1), np.float32),
        "bias": np.zeros((1,), np.float32),
    }
    return {"params": jax.tree.map(jnp.asarray, params)}


def _refuse_others(shards: Shards, wanted: Mapping[str, Any], tied: bool) -> None:
    """A tensor that nothing reads is a part of a model of another kind."""
    known = {*wanted, "lm_head.weight"} if tied else {*wanted}  # beside an embedding it is the same once more
    others = sorted(name for name in shards.names if name not in known and not name.endswith(_UNREAD))
    if others:
        raise PretrainedError(
            f"{shards.folder}: it has the tensor {one_line(others[0])[:80]!r}, which a decoder has no place for"
        )


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value
