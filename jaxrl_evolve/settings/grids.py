"""Grids of settings as a person writes them, ``field=v1,v2``, and as their points."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxrl_evolve.settings.fields import Settings, field_name, parse_field
from jaxrl_evolve.settings.names import spelled
from jaxrl_evolve.settings.nested import tuples


def parse_grid(config: Any, grid: Sequence[str], check: Callable[[str], None]) -> dict[str, list[Any]]:
    """The values of every field that a grid names.

    Args:
        config: a dataclass instance that has the fields.
        grid: ``"field=v1,v2"``; nested fields by dots.
        check: raises a ValueError for the name of a field that may not vary.

    Raises:
        ValueError: a text does not read so, or names a field or a value twice; or the field or a value is not
            allowed.
    """
    axes: dict[str, list[Any]] = {}
    for text in grid:
        name, separator, listed = text.partition("=")
        if not separator or not name or not listed:
            raise ValueError(f"grid is {text!r}; it must read FIELD=V1,V2")
        # What may not vary is said of any field, also where the rest of its name is wrong.
        check(spelled(name))
        name = field_name(config, name)
        values = [parse_field(config, name, value) for value in split(listed)]
        for i, value in enumerate(values):
            if value in values[:i]:
                raise ValueError(f"grid gives {name} the value {value!r} twice")
        if name in axes:
            raise ValueError(f"grid names {name} twice")
        axes[name] = values
    return axes


def product(axes: Mapping[str, list[Any]]) -> list[Settings]:
    """Every combination of values, the last field's changing fastest; one empty point for no fields."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def settings_from_json(settings: Mapping[str, Any]) -> Settings:
    """JSON has lists where settings have tuples."""
    return {name: tuples(value) for name, value in settings.items()}


def split(text: str) -> list[str]:
    """The parts of a text between the commas that stand outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
