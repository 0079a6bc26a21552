"""Configurations as JSON: data, a file, or the run folder that a run left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxrl_evolve.settings.nested import MissingFields
from jaxrl_evolve.storage import kinds

HISTORY, FILES = "history", "files"
"""Facts that a run writes beside its configuration: how it was extended (`training.extend`), and the files of the
objectives that a meta-test compares."""


def configuration_data(source: Mapping[str, Any] | str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """The fields of a configuration, without what a run wrote beside them.

    Args:
        source: JSON data, or a file or run folder that has them.
        kind: of run that it must be for, see `storage.kinds`.

    Raises:
        ValueError: there is no such file, it holds no JSON object, or it is of another kind.
    """
    from jaxrl_evolve.storage.folder import read_json  # not above: help is given without jax

    if isinstance(source, Mapping):
        place, data = "the configuration", source
    else:
        place = _file(source)
        data = read_json(place)
    found = kinds.name_of(data, kinds.RUN) if kinds.FIELD in data else kind
    if found != kind:
        raise ValueError(f"{place} is that of {kinds.about(found).what}, not of {kinds.about(kind).what}")
    return {name: value for name, value in data.items() if name not in (kinds.FIELD, HISTORY, FILES)}


@contextlib.contextmanager
def reading(source: Mapping[str, Any] | str | os.PathLike[str], kind: str) -> Iterator[None]:
    """What is wrong with the fields of a configuration, with the file that they are in.

    Raises:
        ValueError: with the file's name before the sentence, if there is a file; where fields are missing, saying how to
            get all of them.
    """
    try:
        yield
    except ValueError as error:
        # Other errors than these two say by themselves what they are about.
        if isinstance(source, Mapping) or type(error) not in (ValueError, MissingFields):
            raise
        lacking = isinstance(error, MissingFields)
        hint = f"; `jaxrl-evolve {kind} … --dump` prints a whole configuration" if lacking else ""
        raise ValueError(f"{_file(source)}: {error}{hint}") from None


def _file(source: str | os.PathLike[str]) -> Path:
    path = Path(source)
    return path / kinds.RUN if path.is_dir() else path


def configuration_json(config: Any, kind: str, whole: bool = False) -> dict[str, Any]:
    """A configuration as JSON data, with its kind, as ``config.json`` has them, or ``whole``, as `plain` says."""
    from jaxrl_evolve.storage.folder import plain

    return {kinds.FIELD: kind, **plain(config, whole=whole)}
