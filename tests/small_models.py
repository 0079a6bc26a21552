"""Folders of tiny published models, put together by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

V = 9
LLAMA = {
    "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 6, "intermediate_size": 10, "max_position_embeddings": 32,
    "rope_theta": 100.0, "rms_norm_eps": 1e-3, "vocab_size": V, "hidden_act": "silu", "rope_scaling": None,
}  # fmt: skip
QWEN2 = {
    **{name: value for name, value in LLAMA.items() if name not in ("head_dim", "rope_theta")},
    "model_type": "qwen2", "tie_word_embeddings": True, "use_sliding_window": False,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
}  # fmt: skip


def weights_of(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Random tensors of a model by their names, rounded to what bfloat16 holds."""
    c, rng = config, np.random.default_rng(0)
    size = c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])
    queries, keys = c["num_attention_heads"] * size, c["num_key_value_heads"] * size
    width, hidden = c["hidden_size"], c["intermediate_size"]
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], width), "model.norm.weight": (width,)}
    if not c.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = (c["vocab_size"], width)
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        shapes |= {at + "input_layernorm.weight": (width,), at + "post_attention_layernorm.weight": (width,)}
        for name, out in (("q", queries), ("k", keys), ("v", keys)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = (out, width)
            if c["model_type"] == "qwen2":
                shapes[f"{at}self_attn.{name}_proj.bias"] = (out,)
        shapes[at + "self_attn.o_proj.weight"] = (width, queries)
        shapes |= {at + f"mlp.{name}_proj.weight": (hidden, width) for name in ("gate", "up")}
        shapes[at + "mlp.down_proj.weight"] = (width, hidden)
    drawn = {name: 0.5 * rng.normal(size=shape) for name, shape in shapes.items()}
    return {name: x.astype(ml_dtypes.bfloat16).astype(np.float32) for name, x in drawn.items()}


def packed(tensors: dict[str, np.ndarray], dtype: str = "F32", **changes: Any) -> bytes:
    """A safetensors file, put together by hand; ``changes`` replace facts in the header of the first tensor."""
    kinds = {"F32": np.float32, "BF16": ml_dtypes.bfloat16, "F16": np.float16, "I32": np.int32}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, x in tensors.items():
        own = x.astype(kinds[dtype]).tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(x.shape),
            "data_offsets": [len(data), len(data) + len(own)],
        }
        data += own
    if changes:
        header[next(iter(tensors))] |= changes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def written(
    folder: Path, config: dict[str, Any], shards: int = 1, dtype: str = "F32"
) -> dict[str, np.ndarray]:
    """A model's folder; its tensors."""
    folder.mkdir(exist_ok=True)
    tensors = weights_of(config)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        (folder / "model.safetensors").write_bytes(packed(tensors, dtype))
        return tensors
    where = {name: f"model-{i % shards}.safetensors" for i, name in enumerate(sorted(tensors))}
    for file in set(where.values()):
        own = {name: x for name, x in tensors.items() if where[name] == file}
        (folder / file).write_bytes(packed(own, dtype))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return tensors
