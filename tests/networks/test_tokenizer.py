"""Tokenizers of published models: text there and back, and what is wrong with a folder in one sentence."""

from __future__ import annotations

import importlib.util
import json
import os
import random
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from small_models import LLAMA, written
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from jaxrl_evolve.networks.decoder.generate import generate
from jaxrl_evolve.networks.decoder.pretrained import PretrainedError, load_pretrained
from jaxrl_evolve.networks.decoder.sampling import Sampling
from jaxrl_evolve.networks.decoder.tokenizer import load_tokenizer

WORDS = ("<unk>", "</s>", "<s>", "a", "b", "c", "ab", "Ġ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a tokenizer that puts a first token before a text, and knows one pair of letters."""
    numbered = {word: i for i, word in enumerate(WORDS)}
    made = Tokenizer(models.BPE(vocab=numbered, merges=[("a", "b")], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([*WORDS[:3]])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    made.enable_padding(length=9)  # a tokenizer's own padding is not what prompts are filled with
    made.enable_truncation(2)
    made.save(str(tmp_path / "tokenizer.json"))
    told(tmp_path, {"eos_token": "</s>"})
    return tmp_path


def told(folder: Path, settings: Any, name: str = "tokenizer_config.json") -> None:
    (folder / name).write_text(json.dumps(settings))


def test_text_becomes_prompts_and_completions_become_text(folder: Path):
    tokenizer = load_tokenizer(folder, vocabulary=9)
    assert (tokenizer.vocabulary, tokenizer.eos) == (8, 1)
    tokens, lengths = tokenizer.encode(["ab c", "abba", ""])
    np.testing.assert_array_equal(tokens, [[2, 6, 7, 5], [2, 6, 4, 3], [2, 0, 0, 0]])
    np.testing.assert_array_equal(lengths, [4, 4, 1])
    assert tokens.dtype == lengths.dtype == np.int32
    np.testing.assert_array_equal(tokenizer.encode(["c"], longest=6).tokens, [[2, 5, 0, 0, 0, 0]])
    # The first ended by itself, the second was cut off; behind its end nothing is read.
    assert tokenizer.decode([[6, 7, 5, 1], [4, 3, 99, 0]], [4, 2]) == ["ab c", "ba"]


def test_a_model_answers_in_text(folder: Path):
    written(folder, LLAMA)
    model = load_pretrained(folder, context=12)
    tokenizer = load_tokenizer(folder, vocabulary=model.vocabulary)
    prompts = tokenizer.encode(["ab", "c c"])
    sampling = Sampling(limit=5, eos=tokenizer.eos)
    drawn = generate(model.config, model.params, *prompts, sampling, jax.random.key(3))
    mine = np.minimum(np.asarray(drawn.tokens), 7)  # the model has a token that no text becomes
    said = [row[:length] for row, length in zip(mine, drawn.lengths, strict=True)]
    by_hand = ["".join(WORDS[token] for token in row if token > 2).replace("Ġ", " ") for row in said]
    assert tokenizer.decode(mine, drawn.lengths) == by_hand and any(by_hand)


@pytest.mark.parametrize(
    ("settings", "name", "eos"),
    [
        ({"eos_token": {"content": "c"}}, "tokenizer_config.json", 5),
        ({"eos_token": None}, "tokenizer_config.json", 3),  # then config.json tells it
        ({"eos_token_id": [4, 1]}, "generation_config.json", 4),
    ],
)
def test_where_the_end_is_told(folder: Path, settings: Any, name: str, eos: int):
    (folder / "tokenizer_config.json").unlink()
    told(folder, {"eos_token_id": 3}, "config.json")
    told(folder, settings, name)
    assert load_tokenizer(folder).eos == eos


def test_what_cannot_be_encoded_or_decoded_is_refused(folder: Path):
    tokenizer = load_tokenizer(folder)
    for texts, message in (
        (["a", "ab</s>a"], r"texts\[1\] has '</s>' within it, which ends a completion"),
        (["a", "abc"], r"texts\[1\] has 3 tokens; longest is 2"),
        ([], r"texts is \[\]; it must be a list of at least one text"),
        ("ab", "texts is 'ab'; it must be a list"),
    ):
        with pytest.raises(ValueError, match=message):
            tokenizer.encode(texts, longest=2 if "abc" in texts else None)
    for tokens, lengths, message in (
        ([[3, 1]], [2, 2], r"are int64\[1, 2\] and int64\[2\]; they must be whole numbers"),
        ([3, 1], [2], r"int64\[2\] and"),
        ([[3, 1]], [2.0], "and float64"),
        ([[3, 1]], [-1], "lengths go from -1 to -1; there are 2 tokens"),
        ([[3, 1]], [3], "lengths go from 3 to 3"),
    ):
        with pytest.raises(ValueError, match=message):
            tokenizer.decode(tokens, lengths)
    with pytest.raises(ValueError, match=r"tokens\[1\] goes from 3 to 8; the tokenizer has 8"):
        tokenizer.decode([[3, 1], [3, 8]], [2, 2])
    bare = load_tokenizer(folder)
    bare.model.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    with pytest.raises(ValueError, match=r"texts\[0\] has no token"):
        bare.encode([""])


@pytest.mark.skipif(os.environ.get("TYPE_CHECKS", "on") != "off", reason="annotations refuse it before")
def test_what_is_no_text_or_number_is_refused(folder: Path):
    tokenizer = load_tokenizer(folder)
    for texts, message in (
        ([None], r"texts\[0\] is None"),
        (["a", "\ud800"], r"texts\[1\] is .*; it must be a text"),
    ):
        with pytest.raises(ValueError, match=message):
            tokenizer.encode(texts)
    np.testing.assert_array_equal(tokenizer.encode(np.array(["a", "b"])).lengths, [2, 2])
    for longest in ("3", 3.0, True, 2**40, 0):
        with pytest.raises(ValueError, match="longest is .*; it must be a whole number of at least 1"):
            tokenizer.encode(["a"], longest=longest)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="vocabulary is nan; it must be a whole number"):
        load_tokenizer(folder, vocabulary=float("nan"))  # pyright: ignore[reportArgumentType]


def test_the_end_is_no_part_of_the_text_also_where_it_is_a_word(folder: Path):
    told(folder, {"eos_token": "c"})
    tokenizer = load_tokenizer(folder)
    assert tokenizer.decode([[3, 4, 5], [5, 5, 3]], [3, 3]) == ["ab", "cca"]


def test_what_is_wrong_with_a_folder_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch):
    told(folder, {"eos_token": "\ud800"})
    with pytest.raises(PretrainedError, match="the end of a completion is .*ud800.*, which is no token"):
        load_tokenizer(folder)
    told(folder, {"eos_token": "</s>"})
    with pytest.raises(PretrainedError, match="its tokens go up to 7; the model has 7, from 0 on"):
        load_tokenizer(folder, vocabulary=7)
    for end, message in (
        ("</end>", "the end of a completion is '</end>', which is no token"),
        (8, "is 8, which"),
        (True, "is True"),
        (-1, "is -1"),
        (2**40, "is 1099511627776"),
        (1.0, "is 1.0"),
    ):
        told(folder, {"eos_token": end})
        with pytest.raises(PretrainedError, match=message):
            load_tokenizer(folder)
    (folder / "tokenizer_config.json").write_text("[" * 10_000)
    with pytest.raises(PretrainedError, match="tokenizer_config.json: "):
        load_tokenizer(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(PretrainedError, match="nothing tells which token ends a completion"):
        load_tokenizer(folder)
    whole = (folder / "tokenizer.json").read_text()
    # The last one is what the package calls a panic, which is no Exception.
    for text in ("", "{}", "[" * 10_000, whole[:-9], whole.replace('"id": "<s>"', '"id": "<t>"')):
        (folder / "tokenizer.json").write_text(text)
        with pytest.raises(PretrainedError, match=r"tokenizer.json: no tokenizer that can be read \(.+\)$"):
            load_tokenizer(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PretrainedError, match=r"it is not there; tokenizers in other files"):
        load_tokenizer(folder)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'jaxrl_evolve\[text\]'"):
        load_tokenizer(folder)


def test_damaged_files_end_in_a_sentence(folder: Path):
    path, rng = folder / "tokenizer.json", random.Random(0)
    content = path.read_bytes()
    told_of = []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            load_tokenizer(folder).encode(["ab c"])
        except ValueError as fault:  # a PretrainedError is one
            told_of.append(str(fault))
    assert len(told_of) > 200 and not any("\n" in text for text in told_of)
