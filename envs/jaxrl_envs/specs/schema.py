"""JSON schemas of specs, strict as structured outputs want them."""

from __future__ import annotations

import functools
import json
from typing import Any

from pydantic import BaseModel

_DROPPED = ("default", "title", "low", "high", "whole", "discriminator")


@functools.cache
def _schema(model: type[BaseModel]) -> str:
    return json.dumps(_strict(model.model_json_schema()))


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """A fresh copy: every property required, nothing else allowed, no defaults."""
    return json.loads(_schema(model))


def _strict(part: Any) -> Any:
    if isinstance(part, list):
        return [_strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    properties = part.get("properties")
    kept = {
        {"oneOf": "anyOf"}.get(key, key): _strict(value)
        for key, value in part.items()
        if key not in _DROPPED and key != "properties"
    }
    if isinstance(properties, dict):  # whose keys are names of fields, not words of the schema
        kept["properties"] = {name: _bounded(inside) for name, inside in properties.items()}
        kept["required"], kept["additionalProperties"] = [*properties], False
    return kept


def _bounded(field: Any) -> Any:
    """A field; the bounds of a number that may be a range are told in words, since a schema has no place for them."""
    said = _strict(field)
    if isinstance(field, dict) and "whole" in field:
        kind = "whole number" if field["whole"] else "number"
        said["description"] = f"a {kind} from {field['low']:g} to {field['high']:g}, or a range within"
    if set(said) - {"$ref"} and "$ref" in said:
        said = {"anyOf": [{"$ref": said.pop("$ref")}], **said}
    return said
