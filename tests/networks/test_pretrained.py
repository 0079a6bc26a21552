"""Published models: read as they are meant, and what is wrong with a folder is said in one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import decoder_oracle
import jax
import numpy as np
import pytest
from compiled import program
from small_models import LLAMA, QWEN2, V, packed, weights_of, written

from jaxrl_envs import Box, Discrete
from jaxrl_evolve.networks.config import NetworkConfig
from jaxrl_evolve.networks.decoder.pretrained import PretrainedError, load_pretrained
from jaxrl_evolve.networks.table import make_network

S = 6


@pytest.mark.parametrize(("config", "shards", "dtype"), [(LLAMA, 1, "F32"), (QWEN2, 3, "BF16")])
def test_a_model_says_what_an_independent_forward_pass_says(
    config: Any, shards: int, dtype: str, tmp_path: Path
):
    tensors = written(tmp_path / "model", config, shards, dtype)
    model = load_pretrained(tmp_path / "model", context=S, vocabulary=V)
    assert model.vocabulary == V and model.config.context == S
    space = Box((0.0, 0.0), (V - 1.0, 1.0), (2,), "int32")
    net = make_network(NetworkConfig(kind="decoder", decoder=model.config), space, Discrete(V))
    tokens = np.random.default_rng(1).integers(0, V, S)
    obs = np.stack([tokens, np.ones(S, int)], -1)[:, None].astype(np.int32)
    first = np.arange(S)[:, None] == 0
    found, value, _ = program(net.unroll)(model.params, obs, first, jax.device_get(net.initial_memory(1)))
    expected, _ = decoder_oracle.logits(
        tensors,
        tokens,
        layers=2,
        heads=2,
        kv_heads=1,
        head_dim=config.get("head_dim", 4),
        base=100.0,
        epsilon=1e-3,
    )
    np.testing.assert_allclose(found.logits[:, 0], expected, rtol=1e-4, atol=1e-4)
    assert (value == 0).all()
    like = jax.eval_shape(net.init, jax.random.key(0))
    facts = lambda tree: jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree)
    assert facts(model.params) == facts(like)


CONFIGS = {
    "another kind": ({"model_type": "qwen3"}, "model_type is 'qwen3', which is not known: did you mean qwen2"),
    "no kind": ({"model_type": None}, "model_type is None, which is not known"),
    "kinds": ({"model_type": ["llama"]}, r"model_type is \['llama'\], which is not known"),
    "turned in part": ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5; a decoder can only have 1.0"),
    "scaled positions, the older key": (
        {"rope_parameters": {"type": "linear", "factor": 4.0, "rope_theta": 1e4}},
        "rope_parameters is .*; a decoder can only have a rope_theta and the rope_type 'default'",
    ),
    "positions of no kind": ({"rope_parameters": {"rope_type": ["linear"]}}, "rope_parameters is .*; a decoder can"),
    "positions of a part": (
        {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}},
        "rope_parameters is .*; a decoder can only have a rope_theta",
    ),
    "scaled positions": ({"rope_scaling": {"factor": 8}}, "rope_scaling is .*; a decoder can only have None"),
    "activation": ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; a decoder can only have 'silu'"),
    "heads": ({"num_attention_heads": 3}, r"has the shape \(12, 8\); config.json asks for \(18, 8\)"),
    "negative": ({"hidden_size": -8}, "hidden_size is -8; it must be a whole number of at least 1"),
    "text": ({"num_hidden_layers": "2"}, "num_hidden_layers is '2'; it must be a whole number"),
    "a switch": ({"vocab_size": True}, "vocab_size is True; it must be a whole number"),
    "too wide": ({"hidden_size": 2**30}, r"has the shape \(.*\); config.json asks for \(1073741824"),
    "endless layers": ({"num_hidden_layers": 2**30}, "there is no tensor 'model.layers.2.input_layernorm.weight'"),
    "fewer layers": ({"num_hidden_layers": 1}, "it has the tensor 'model.layers.1.*', which a decoder has no place for"),
    "vocabulary": ({"vocab_size": V + 1}, f"vocab_size is {V + 1}; the task has {V} tokens"),
    "base": ({"rope_theta": 0}, "rope_theta is 0; it must be a number above 0"),
    "tied": ({"tie_word_embeddings": 1}, "tie_word_embeddings is 1; it must be true or false"),
}  # fmt: skip


def assert_refused(folder: Path, said: str) -> None:
    with pytest.raises(PretrainedError, match=said) as refused:
        load_pretrained(folder, context=S, vocabulary=V)
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration_that_is_none_or_lies_is_refused(case: str, tmp_path: Path):
    changes, said = CONFIGS[case]
    written(tmp_path, LLAMA)
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | changes))
    assert_refused(tmp_path, said)


def test_text_that_is_no_configuration_is_refused(tmp_path: Path):
    written(tmp_path, LLAMA)
    for text, said in (
        ("[1]", "it must be an object of settings"),
        ("{", "in line 1"),
        ("[" * 200, "nested|in line"),
    ):
        (tmp_path / "config.json").write_text(text)
        assert_refused(tmp_path, said)


@pytest.mark.parametrize(
    "file",
    ["../other.safetensors", "/etc/passwd", "a/b.safetensors", "..", "a\\b.safetensors", "model.bin", 3],
)
def test_an_index_names_nothing_outside_the_folder(file: Any, tmp_path: Path):
    written(tmp_path / "m", LLAMA, shards=2)
    (tmp_path / "other.safetensors").write_bytes(packed(weights_of(LLAMA)))
    index = tmp_path / "m" / "model.safetensors.index.json"
    where = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": where | {"lm_head.weight": file}}))
    assert_refused(tmp_path / "m", "weight_map (has|must be)")


def test_files_that_are_damaged_or_missing_are_refused(tmp_path: Path):
    tensors = written(tmp_path, LLAMA)
    path, whole = tmp_path / "model.safetensors", packed(tensors)
    first = next(iter(tensors))
    small = {first: tensors[first]}
    cases = {
        "truncated": (whole[:-5], "model.safetensors: "),
        "no header": (b"\xff" * 40, "model.safetensors: "),
        "empty": (b"", "model.safetensors: "),
        "larger than the file": (
            packed(small, shape=[10**6, 10**6], data_offsets=[0, 4 * 10**12]),
            "safetensors: ",
        ),
        "sizes that disagree": (packed(small, shape=[V, 9]), "model.safetensors: "),
        "another shape": (
            packed(tensors | {first: tensors[first].T}),
            r"has the shape \(8, 9\); config.json asks",
        ),
        "integers": (packed(tensors, "I32"), "holds I32; it must be one of BF16, F16, F32"),
        "one missing": (
            packed({n: x for n, x in tensors.items() if n != first}),
            f"there is no tensor '{first}'",
        ),
        "not finite": (
            packed(tensors | {first: tensors[first] * np.nan}),
            "holds numbers that are not finite",
        ),
        "one too many": (packed(tensors | {"model.q_norm": np.ones(2)}), "it has the tensor 'model.q_norm'"),
    }
    for content, said in cases.values():
        path.write_bytes(content)
        assert_refused(tmp_path, said)
    path.unlink()
    assert_refused(tmp_path, "there is no 'model.safetensors'")


def test_a_base_stands_inside_or_outside(tmp_path: Path):
    for own in ({"rope_theta": 50.0}, {"rope_theta": 9.0, "rope_parameters": {"rope_theta": 50.0}}):
        written(tmp_path, {name: x for name, x in LLAMA.items() if name != "rope_theta"} | own)
        assert load_pretrained(tmp_path, context=S).config.rope_base == 50.0
    written(tmp_path, LLAMA | {"rope_theta": 50.0, "rope_parameters": {"rope_type": "default"}})
    assert load_pretrained(tmp_path, context=S).config.rope_base == 50.0


def test_an_output_of_another_name_is_no_copy_of_the_embedding(tmp_path: Path):
    tensors = written(tmp_path, QWEN2)
    head = tensors["model.embed_tokens.weight"]
    path = tmp_path / "model.safetensors"
    path.write_bytes(packed(tensors | {"lm_head.weight": head}))
    assert load_pretrained(tmp_path, context=S).config.tied
    path.write_bytes(packed(tensors | {"evil.lm_head.weight": head}))
    assert_refused(tmp_path, "it has the tensor 'evil.lm_head.weight'")


def test_shards_that_are_missing_or_misplaced_are_refused(tmp_path: Path):
    written(tmp_path, LLAMA, shards=2)
    index = tmp_path / "model.safetensors.index.json"
    told = json.loads(index.read_text())
    where = told["weight_map"]
    swapped = where | {"lm_head.weight": f"model-{1 - int(where['lm_head.weight'][6])}.safetensors"}
    index.write_text(json.dumps({"weight_map": swapped}))
    assert_refused(tmp_path, "it says that 'lm_head.weight' lies in model-.*, where it does not")
    fewer = {name: file for name, file in where.items() if name != "model.norm.weight"}
    index.write_text(json.dumps({"weight_map": fewer}))
    assert_refused(tmp_path, "it does not say that 'model.norm.weight' lies in model-.*, where it does")
    index.write_text(json.dumps(told))
    index.write_text(json.dumps({"weight_map": where | {"model.norm.weight": "a" * 5_000 + ".safetensors"}}))
    assert_refused(tmp_path, "there is no 'aaa")
    index.write_text(json.dumps(told))
    (tmp_path / "model-1.safetensors").unlink()
    assert_refused(tmp_path, "there is no 'model-1.safetensors'")
    index.write_text(json.dumps({"weight_map": 1}))
    assert_refused(tmp_path, "weight_map must be an object of file names")


@pytest.mark.skipif(os.environ.get("TYPE_CHECKS", "on") != "off", reason="annotations refuse it before")
def test_what_is_no_number_is_none(tmp_path: Path):
    written(tmp_path, LLAMA)
    for context in ("a", None, True, 6.0):
        with pytest.raises(ValueError, match=f"context is {context!r}; it must be a whole number"):
            load_pretrained(tmp_path, context=context)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="vocabulary is '9'; it must be a whole number"):
        load_pretrained(tmp_path, context=S, vocabulary="9")  # pyright: ignore[reportArgumentType]


def test_a_context_is_no_longer_than_the_model_s(tmp_path: Path):
    written(tmp_path, LLAMA)
    with pytest.raises(ValueError, match="context is 33; the model in .* was made for 32 tokens"):
        load_pretrained(tmp_path, context=33)
    with pytest.raises(ValueError, match="context is 0; it must be a whole number"):
        load_pretrained(tmp_path, context=0)
    with pytest.raises(PretrainedError, match="config.json: it is not there"):
        load_pretrained(tmp_path / "nowhere", context=S)
    with pytest.raises(PretrainedError, match="config.json: it is not there"):
        load_pretrained(tmp_path / ("a" * 5_000), context=S)
