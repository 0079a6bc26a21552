"""Tokens by name: what a task's numbers mean to people."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from jaxrl_envs.keywords import near

PAD = 0
"""Nothing, in every vocabulary; no prompt has it."""
EOS = 1
"""The end of a completion, in every vocabulary."""
BOS = 2
"""The beginning of a prompt, in every vocabulary."""
ZERO = 3
"""The digit 0 in every vocabulary that has digits; the others follow."""
DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tokens of a task.

    Attributes:
        names: one for each token, `PAD`, `EOS` and `BOS` first; none twice, none with a space in it.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.names[:3] != ("<pad>", "<eos>", "<bos>"):
            raise ValueError(f"a vocabulary begins with <pad>, <eos>, <bos>, not with {self.names[:3]}")
        if len({*self.names}) < len(self.names) or any(not re.fullmatch(r"\S+", n) for n in self.names):
            raise ValueError(f"names of tokens are distinct and without spaces, not {self.names}")

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self.names)

    def token(self, name: str) -> int:
        """The number of the token called ``name``.

        Raises:
            ValueError: there is none.
        """
        if name not in self.names:
            raise ValueError(f"there is no token {name!r}{near(name, self.names) or '.'}")
        return self.names.index(name)

    def text(self, tokens: Any) -> str:
        """Tokens ``[n]`` as people read them: names with spaces between, without `PAD`.

        Raises:
            ValueError: a number that is no token.
        """
        numbers = [int(token) for token in np.asarray(tokens).reshape(-1)]
        for number in numbers:
            if not 0 <= number < self.size:
                raise ValueError(f"{number} is no token; they are 0 to {self.size - 1}")
        return " ".join(self.names[number] for number in numbers if number != PAD)

    def tokens(self, text: str) -> np.ndarray:
        """The tokens of a text, int32 ``[n]``: at each place the longest name that fits; spaces only part names.

        Raises:
            ValueError: no name fits somewhere.
        """
        longest_first = sorted(self.names, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, longest_first)))
        found, at = [], 0
        while text[at:].strip():
            at += len(text[at:]) - len(text[at:].lstrip())
            match = pattern.match(text, at)
            if match is None:
                raise ValueError(f"no token's name fits {text[at : at + 12]!r} of {text!r}")
            found.append(self.names.index(match[0]))
            at = match.end()
        return np.asarray(found, np.int32)


def vocabulary(*names: str) -> Vocabulary:
    """A vocabulary of these names after those that all have."""
    return Vocabulary(("<pad>", "<eos>", "<bos>", *names))
