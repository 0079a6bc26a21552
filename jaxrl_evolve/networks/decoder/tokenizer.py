"""Text to tokens and back, as a published model has them: its ``tokenizer.json``, read by the package tokenizers.

Whose files these are is not known: none that is longer than `_MOST` is read, and each fault is one sentence.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxrl_envs.token.vocabulary import PAD
from jaxrl_evolve.files import Unreadable, one_line, parse_json, read_regular
from jaxrl_evolve.networks.decoder.pretrained import PretrainedError

_MOST = 2**26
_SETTINGS = ("tokenizer_config.json", "generation_config.json", "config.json")
"""Where the end of a completion is told: by its text in the first, by its number in the others."""


class Prompts(NamedTuple):
    """Texts as `generate` takes them.

    Attributes:
        tokens: int32 ``[B, P]``, from the left; beyond a prompt's end `PAD`, which nobody reads.
        lengths: int32 ``[B]``.
    """

    tokens: Int[np.ndarray, "B P"]
    lengths: Int[np.ndarray, " B"]


class Tokenizer(NamedTuple):
    """The tokens of a published model.

    Attributes:
        vocabulary: how many it has; the model may have more, which no text becomes and `Sampling.tokens` keeps from being drawn.
        eos: the token that ends a completion, for `Sampling.eos`.
        model: of the package tokenizers.
    """

    vocabulary: int
    eos: int
    model: Any

    def encode(self, texts: Sequence[str], longest: int | None = None) -> Prompts:
        """Prompts of one batch, with what the tokenizer puts before a text (often a first token).

        Args:
            texts: at least one.
            longest: columns ``P`` of the batch, so that other batches run in the same program; None takes the longest of these.

        Raises:
            ValueError: there is no text, something is none, or a text has no token, more than ``longest``, or the end of a completion within it.
        """
        if isinstance(texts, str) or not isinstance(texts, Iterable) or not (texts := list(texts)):
            raise ValueError(f"texts is {one_line(repr(texts))[:80]}; it must be a list of at least one text")
        for i, text in enumerate(texts):
            if not isinstance(text, str) or not _is_text(text):
                raise ValueError(f"texts[{i}] is {one_line(repr(text))[:80]}; it must be a text")
        rows = [each.ids for each in self.model.encode_batch(texts)]
        width = max(map(len, rows)) if longest is None else _columns(longest)
        for i, row in enumerate(rows):
            if not row:
                raise ValueError(f"texts[{i}] has no token; a completion needs something to come after")
            if len(row) > width:
                raise ValueError(f"texts[{i}] has {len(row)} tokens; longest is {width}")
            if self.eos in row:
                raise ValueError(
                    f"texts[{i}] has {self.model.id_to_token(self.eos)!r} within it, which ends a completion"
                )
        tokens = np.full((len(rows), width), PAD, np.int32)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = row
        return Prompts(tokens, np.asarray([len(row) for row in rows], np.int32))

    def decode(self, tokens: Any, lengths: Any) -> list[str]:
        """Texts of completions, without the token that ended them.

        Args:
            tokens: ``[B, L]``, as `Completions` has them.
            lengths: ``[B]``.

        Raises:
            ValueError: shapes do not agree, or a token is none of the tokenizer's.
        """
        tokens, lengths = np.asarray(tokens), np.asarray(lengths)
        whole = all(x.dtype.kind in "iu" for x in (tokens, lengths))
        if not whole or tokens.ndim != 2 or lengths.shape != tokens.shape[:1]:
            shapes = f"{tokens.dtype}{list(tokens.shape)} and {lengths.dtype}{list(lengths.shape)}"
            raise ValueError(f"tokens and lengths are {shapes}; they must be whole numbers [B, L] and [B]")
        if ((lengths < 0) | (lengths > tokens.shape[1])).any():
            raise ValueError(
                f"lengths go from {lengths.min()} to {lengths.max()}; there are {tokens.shape[1]} tokens"
            )
        rows = [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
        rows = [row[:-1] if row and row[-1] == self.eos else row for row in rows]
        for i, row in enumerate(rows):
            if row and not 0 <= min(row) <= max(row) < self.vocabulary:
                raise ValueError(
                    f"tokens[{i}] goes from {min(row)} to {max(row)}; the tokenizer has {self.vocabulary} (no others are drawn with Sampling.tokens)"
                )
        return self.model.decode_batch(rows)


def load_tokenizer(folder: str | os.PathLike[str], *, vocabulary: int | None = None) -> Tokenizer:
    """The tokenizer of a model's folder, ``tokenizer.json``.

    Args:
        folder: of the model.
        vocabulary: tokens of the model (`Pretrained.vocabulary`), to see that they fit.

    Raises:
        PretrainedError: there is no such file or it can't be read, it has more tokens than the model, or no end of a completion is told.
        ImportError: the package tokenizers is not installed.
    """
    if importlib.util.find_spec("tokenizers") is None:
        raise ImportError("to read a tokenizer needs tokenizers: pip install 'jaxrl_evolve[text]'")
    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise PretrainedError(
            f"{path}: it is not there; tokenizers in other files (tokenizer.model) are not read"
        )
    try:
        model = _read(read_regular(path, _MOST))
    except Unreadable as fault:
        raise PretrainedError(f"{path}: {fault}") from None
    if vocabulary is not None and (type(vocabulary) is bool or not isinstance(vocabulary, int | np.integer)):
        raise ValueError(f"vocabulary is {vocabulary!r}; it must be a whole number")
    highest = max(model.get_vocab(with_added_tokens=True).values(), default=-1)
    if vocabulary is not None and highest >= vocabulary:
        raise PretrainedError(f"{path}: its tokens go up to {highest}; the model has {vocabulary}, from 0 on")
    return Tokenizer(highest + 1, _end(Path(folder), model), model)


def _is_text(text: str) -> bool:
    """Whether it can be written in bytes: half of a surrogate pair cannot."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _columns(longest: Any) -> int:
    if isinstance(longest, bool) or not isinstance(longest, int | np.integer) or not 1 <= longest < 2**24:
        raise ValueError(f"longest is {longest!r}; it must be a whole number of at least 1")
    return int(longest)


def _read(content: bytes) -> Any:
    """A tokenizer that has been tried on a text.

    Raises:
        Unreadable: it is none. The package raises nothing narrower than Exception, and what it calls panics are not even that.
    """
    import tokenizers

    try:
        model = tokenizers.Tokenizer.from_buffer(content)
        model.no_padding()
        model.no_truncation()
        model.decode(model.encode("a b").ids)
    except BaseException as fault:
        if isinstance(fault, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise Unreadable(f"no tokenizer that can be read ({one_line(fault)[:160]})") from None
    return model


def _end(folder: Path, model: Any) -> int:
    """The token that ends a completion; of several the first."""
    for path in (folder / name for name in _SETTINGS):
        if not path.is_file():
            continue
        try:
            told = parse_json(read_regular(path, _MOST))
        except Unreadable as fault:
            raise PretrainedError(f"{path}: {fault}") from None
        found = told.get("eos_token", told.get("eos_token_id")) if isinstance(told, dict) else None
        if isinstance(found, dict):
            found = found.get("content")
        if isinstance(found, list) and found:
            found = found[0]
        if found is None:
            continue
        if isinstance(found, str):
            number = model.token_to_id(found) if _is_text(found) else None
        else:
            number = found
        if type(number) is not int or not 0 <= number < 2**32 or model.id_to_token(number) is None:
            raise PretrainedError(
                f"{path}: the end of a completion is {one_line(repr(found))[:80]}, which is no token of tokenizer.json"
            )
        return number
    raise PretrainedError(
        f"{folder}: nothing tells which token ends a completion (eos_token in {_SETTINGS[0]}, or eos_token_id)"
    )
