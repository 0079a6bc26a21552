"""An archive in a file: written whole or not at all, so that whoever is killed at any moment finds the one before or the new one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, get_args

from jaxrl_evolve.generation.archive import Archive, Entry, Status
from jaxrl_evolve.generation.archive_config import ArchiveConfig
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.settings.nested import from_fields
from jaxrl_evolve.storage.folder import FolderError, read_json, write_json

FORMAT = 1
"""Of the file."""


def archive_data(archive: Archive) -> dict[str, Any]:
    """An archive as JSON data."""
    return {
        "format": FORMAT,
        "cycle": archive.cycle,
        "config": archive.config,
        "rejections": archive.rejections,
        "refused": archive.refused,
        "entries": list(archive.entries.values()),
    }


def write_archive(
    path: str | os.PathLike[str], archive: Archive, more: Mapping[str, Any] | None = None
) -> None:
    """Write an archive.

    Args:
        path: the file.
        archive: what is written.
        more: JSON data that has to be as old as the archive, such as the state of its proposer.

    Raises:
        FolderError: it cannot be written.
    """
    write_json(path, {**archive_data(archive), "more": dict(more or {})})


def read_archive(path: str | os.PathLike[str]) -> tuple[Archive, dict[str, Any]]:
    """The archive in a file, and what was written with it.

    Raises:
        FolderError: it cannot be read, or is none of this version.
    """
    data = read_json(path)
    if data.get("format") != FORMAT:
        raise FolderError(
            f"{os.fspath(path)} is no archive of this version: format is {data.get('format')!r}; it must be {FORMAT}"
        )
    try:
        entries = [_entry(each) for each in data["entries"]]
        rejections = {str(reason): int(count) for reason, count in data["rejections"].items()}
        config = from_fields(ArchiveConfig, data["config"], "config")
        # A file of before has no sentences.
        refused = {str(reason): str(said) for reason, said in data.get("refused", {}).items()}
        archive = Archive({e.identity: e for e in entries}, int(data["cycle"]), rejections, config, refused)
        if len(archive.entries) != len(entries):
            raise ValueError("a spec stands there twice")
        if lost := [p for e in entries for p in e.parents if p not in archive.entries]:
            raise ValueError(f"a parent {lost[0]!r} is not there")
        return archive, dict(data["more"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise FolderError(f"{os.fspath(path)} is damaged: it is no archive ({error})") from None


def _entry(data: Mapping[str, Any]) -> Entry:
    values = dict(data)
    for name in ("features", "cell", "parents", "reasons"):
        values[name] = tuple(values[name])
    for name in ("belief", "trial"):
        won, lost = (float(x) for x in values[name])
        if not (won >= 0 and lost >= 0):
            raise ValueError(f"{name} is {values[name]}; it must be two counts")
        values[name] = Belief(won, lost)
    if values["status"] not in get_args(Status):
        raise ValueError(f"status is {values['status']!r}; it must be one of {', '.join(get_args(Status))}")
    if not isinstance(values["identity"], str) or not isinstance(values["data"], dict):
        raise ValueError("a spec has no identity or no data")
    return Entry(**values)
