"""What of a domain's grid specs an agent can edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Canvas(NamedTuple):
    """What of a domain's specs can be edited.

    Attributes:
        bounds: of numbers of the terrain, by type and name, as of `editing.editable`.
        prepared: ``data -> data``, a spec with room for edits; what it is given may be changed.
    """

    bounds: Mapping[tuple[str, str], tuple[int, int]]
    prepared: Callable[[dict[str, Any]], dict[str, Any]]
