"""JSON that anyone may have written, as plain data: bounded in size and depth, no key twice, no number that is none."""

from __future__ import annotations

import json
import math
import operator
from collections import Counter
from typing import Any

from jaxrl_envs.specs.language import Fault, SpecError

MOST_BYTES = 2**20
"""What a spec may have as text: thirty times the largest that the caps allow."""
DEEPEST = 16
_MOST_VALUES = 50_000
_LARGEST = 10**15  # whole numbers beyond are no sizes, and some readers of JSON lose their digits


def shown(value: Any) -> str:
    """A value as it stands in a sentence: short, in one line, printable anywhere."""
    said = repr(value) if isinstance(value, str) else _briefly(value)
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)
    return line if len(line) <= 60 else f"{line[:57]}…"


def _briefly(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a whole number of more than 15 digits"
    return str(value)


def refuse(allowed: str, path: str = "", value: str = "") -> SpecError:
    """The error of one fault."""
    return SpecError(Fault(path, value, allowed))


def whole(value: Any, path: str) -> int:
    """A whole number that a program gives, of Python or of NumPy, as one of Python.

    Raises:
        SpecError: it is none; the sentence names the path.
    """
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise refuse("it must be a whole number", path, shown(value))


def _halved(text: str) -> bool:
    """Whether it has half of a surrogate pair, which is no character."""
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def parse(text: str | bytes) -> Any:
    """JSON text as data.

    Args:
        text: UTF-8 where it is bytes.

    Raises:
        SpecError: it is too long, too deep, no JSON, has a key twice in one object, or a number that float64 cannot hold.
    """
    size = len(text) if isinstance(text, bytes) else len(text.encode(errors="surrogatepass"))
    if size > MOST_BYTES:
        raise refuse(f"it has {size:,} bytes, more than the {MOST_BYTES:,} that are read")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            times = Counter(key for key, _ in pairs)
            return _Twice(found, next(key for key in times if times[key] > 1))
        return found

    def constant(word: str) -> Any:
        raise refuse(f"it has {word} for a number, which JSON has no word for")

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise refuse(
                f"it has the number {shown(digits)[1:-1]}, which is larger than any that can be kept"
            )
        return value

    try:
        text = (text.decode() if isinstance(text, bytes) else text).removeprefix("\ufeff")
        if not text.strip():
            raise refuse("it is empty")
        data = json.loads(text, object_pairs_hook=once, parse_constant=constant, parse_float=number)
    except json.JSONDecodeError as error:
        raise refuse(f"it is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise refuse("it is not UTF-8 text") from None
    except RecursionError:
        raise refuse(f"it is nested more than {DEEPEST} levels deep") from None
    except SpecError:
        raise
    except ValueError:  # Python's own limit
        raise refuse("it has a number of thousands of digits") from None
    return plain(data)


class _Twice(dict[str, Any]):
    """An object in which a key stands twice."""

    def __init__(self, found: dict[str, Any], key: str) -> None:
        super().__init__(found)
        self.key = key


_Way = tuple[()] | tuple[Any, str | int]
"""The way to a value: that to what it lies in, and its key or place there. Only who is refused is told the path."""


def _path(way: _Way) -> str:
    if not way:
        return ""
    before, last = _path(way[0]), way[1]
    if isinstance(last, int):
        return f"{before}[{last}]"
    name = shown(last)[1:-1]
    return f"{before}.{name}" if before else name


def plain(data: Any) -> Any:
    """Data as it came, if it is nothing but JSON's types, of bounded depth and size.

    Raises:
        SpecError: it is not.
    """
    waiting: list[tuple[Any, int, _Way]] = [(data, 1, ())]
    seen = 0
    while waiting:
        value, level, way = waiting.pop()
        seen += 1
        if level > DEEPEST:
            raise refuse(f"it is nested more than {DEEPEST} levels deep")
        if seen > _MOST_VALUES:
            raise refuse(f"it has more than the {_MOST_VALUES:,} values that are read")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise refuse(f"it has {shown(key)} for a key, which must be text")
                if _halved(key):
                    raise refuse(f"it has {shown(key)} for a key; half a character is no text")
            if isinstance(value, _Twice):
                place = _path((way, value.key))
                raise refuse("it stands twice in one object; it must stand there once", place)
            waiting.extend((inside, level + 1, (way, key)) for key, inside in value.items())
        elif isinstance(value, list):
            waiting.extend((inside, level + 1, (way, i)) for i, inside in enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
            raise refuse("it has a whole number of more than 15 digits")
        elif isinstance(value, str) and _halved(value):
            raise refuse("it has half a character, which is no text")
        elif isinstance(value, float) and not math.isfinite(value):
            raise refuse(f"it has {value} for a number, which must be finite")
        elif not (value is None or isinstance(value, str | bool | int | float)):
            raise refuse(f"it has a {type(value).__name__}, which JSON has not")
    return data
