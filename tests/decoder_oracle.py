"""A decoder's forward pass in NumPy, float64, token by token and head by head, from weights as Llama and Qwen2 name them."""

from __future__ import annotations

import numpy as np


def hugging_face_names(params, layers, tied):
    """The library's parameters by the names of stored models, kernels as these have them (``[out, in]``)."""
    p = params["params"]
    weights = {"model.embed_tokens.weight": p["embedding"], "model.norm.weight": p["norm"]["scale"]}
    if not tied:
        weights["lm_head.weight"] = p["unembedding"]
    names = {
        "self_attn.q_proj": ("attention", "query"),
        "self_attn.k_proj": ("attention", "key"),
        "self_attn.v_proj": ("attention", "value"),
        "self_attn.o_proj": ("attention", "out"),
        "mlp.gate_proj": ("mlp", "gate"),
        "mlp.up_proj": ("mlp", "up"),
        "mlp.down_proj": ("mlp", "down"),
    }
    for i in range(layers):
        blocks, at = p["blocks"], f"model.layers.{i}."
        weights[at + "input_layernorm.weight"] = blocks["norm_attention"]["scale"][i]
        weights[at + "post_attention_layernorm.weight"] = blocks["norm_mlp"]["scale"][i]
        for name, (part, own) in names.items():
            weights[f"{at}{name}.weight"] = blocks[part][own]["kernel"][i].T
            if "bias" in blocks[part][own]:
                weights[f"{at}{name}.bias"] = blocks[part][own]["bias"][i]
    return {name: np.ascontiguousarray(x, np.float32) for name, x in weights.items()}


def logits(weights, tokens, *, layers, heads, kv_heads, head_dim, base, epsilon):
    """Of every token of one sequence, ``[S, V]``, and the features they are read off."""
    w = {name: np.asarray(x, np.float64) for name, x in weights.items()}
    norm = lambda x, scale: x / np.sqrt(np.mean(x * x) + epsilon) * scale

    def rotated(x, position):
        out, half = np.empty_like(x), head_dim // 2
        for i in range(half):
            angle = position / base ** (2 * i / head_dim)
            pair = complex(x[i], x[i + half]) * complex(np.cos(angle), np.sin(angle))
            out[i], out[i + half] = pair.real, pair.imag
        return out

    stream = [w["model.embed_tokens.weight"][token] for token in tokens]
    for i in range(layers):
        at = f"model.layers.{i}."
        linear = lambda name, x, at=at: w[f"{at}{name}.weight"] @ x + w.get(f"{at}{name}.bias", 0.0)
        seen = [norm(x, w[at + "input_layernorm.weight"]) for x in stream]
        queries, keys, values = (
            [linear(f"self_attn.{name}_proj", x).reshape(-1, head_dim) for x in seen] for name in "qkv"
        )
        for t in range(len(tokens)):
            heard = []
            for head in range(heads):
                group = head // (heads // kv_heads)
                query = rotated(queries[t][head], t)
                scores = [query @ rotated(keys[s][group], s) / np.sqrt(head_dim) for s in range(t + 1)]
                share = np.exp(np.array(scores) - max(scores))
                share /= share.sum()
                heard.append(sum(a * values[s][group] for s, a in enumerate(share)))
            stream[t] = stream[t] + linear("self_attn.o_proj", np.concatenate(heard))
            x = norm(stream[t], w[at + "post_attention_layernorm.weight"])
            gate, up = linear("mlp.gate_proj", x), linear("mlp.up_proj", x)
            stream[t] = stream[t] + linear("mlp.down_proj", gate / (1 + np.exp(-gate)) * up)
    features = np.stack([norm(x, w["model.norm.weight"]) for x in stream])
    return features @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T, features
