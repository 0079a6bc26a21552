"""The stored objectives that come with the library, by name; reading one is `stored.load`'s."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

SHIPPED: Traversable = resources.files("jaxrl_evolve") / "objectives" / "shipped"
"""Folder of the objectives that come with the library."""

FILE_NAME = "objective.npz"
"""Name of the stored objective in the run folder of a meta-training."""


def shipped() -> dict[str, Traversable]:
    """The files that come with the library, by name."""
    if not SHIPPED.is_dir():
        return {}
    files = [file for file in SHIPPED.iterdir() if file.name.endswith(".npz")]
    return {file.name.removesuffix(".npz"): file for file in sorted(files, key=lambda file: file.name)}
