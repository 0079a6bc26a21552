"""Tensors of a model that lie in one safetensors file or in several, looked up by name before they are read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl_evolve.files import Unreadable, one_line, parse_json, read_regular

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_MOST_INDEX = 2**24
_FLOATS = {"F32", "F16", "BF16"}


class Shards:
    """The tensors of a folder. Headers are read at once, tensors one by one."""

    def __init__(self, folder: Path, error: type[ValueError]) -> None:
        """Args: ``error`` is what is raised, with one sentence."""
        self.folder, self.error = folder, error
        self.names: dict[str, Any] = {}
        """The open file that each tensor lies in."""
        if (folder / WHOLE).exists() or not (folder / INDEX).exists():
            for name in (file := self._opened(WHOLE)).keys():  # noqa: SIM118 (it is no mapping)
                self.names[name] = file
            return
        where = self._index()
        files = {file: self._opened(file) for file in sorted(set(where.values()))}
        there = {file: set(opened.keys()) for file, opened in files.items()}
        for name, file in where.items():
            if name not in there[file]:
                raise error(
                    f"{folder / INDEX}: it says that {_shown(name)} lies in {file}, where it does not"
                )
            self.names[name] = files[file]
        for file, names in there.items():
            if others := sorted(name for name in names if where.get(name) != file):
                raise error(
                    f"{folder / INDEX}: it does not say that {_shown(others[0])} lies in {file}, where it does"
                )

    def expect(self, name: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that is not there, has another shape, or holds no floats."""
        if name not in self.names:
            raise self.error(f"{self.folder}: there is no tensor {_shown(name)}, which config.json asks for")
        told = self.names[name].get_slice(name)
        if (found := tuple(told.get_shape())) != shape:
            raise self.error(
                f"{self.folder}: tensor {_shown(name)} has the shape {found}; config.json asks for {shape}"
            )
        if told.get_dtype() not in _FLOATS:
            raise self.error(
                f"{self.folder}: tensor {_shown(name)} holds {told.get_dtype()}; it must be one of "
                f"{', '.join(sorted(_FLOATS))}"
            )

    def read(self, name: str) -> np.ndarray:
        """A tensor, float32.

        Raises:
            ValueError: it holds a number that is not finite.
        """
        value = np.asarray(self.names[name].get_tensor(name)).astype(np.float32)
        if not np.isfinite(value).all():
            raise self.error(f"{self.folder}: tensor {_shown(name)} holds numbers that are not finite")
        return value

    def _index(self) -> Mapping[str, str]:
        """The names of tensors, and the files they lie in."""
        path = self.folder / INDEX
        try:
            told = parse_json(read_regular(path, _MOST_INDEX))
        except Unreadable as error:
            raise self.error(f"{path}: {error}") from None
        where = told.get("weight_map") if isinstance(told, dict) else None
        if not isinstance(where, dict) or not all(isinstance(file, str) for file in where.values()):
            raise self.error(f"{path}: weight_map must be an object of file names")
        for file in where.values():
            # A name and nothing else: what a path leads to is not part of the model.
            if Path(file).name != file or "\\" in file or not file.endswith(".safetensors"):
                raise self.error(
                    f"{path}: weight_map has {_shown(file)}; it must be the name of a .safetensors file in the same folder"
                )
        return where

    def _opened(self, file: str) -> Any:
        import safetensors  # pyright: ignore[reportMissingImports]

        path = self.folder / file
        if not os.path.exists(path):  # also where a name is too long to be one
            raise self.error(f"{self.folder}: there is no {_shown(file)}")
        if not path.is_file():
            raise self.error(f"{path}: it is no regular file")
        try:
            return safetensors.safe_open(path, framework="numpy")
        except Exception as error:  # whatever the parser stumbles over, it is in the bytes
            raise self.error(f"{path}: {one_line(error)[:200]}") from None


def _shown(name: str) -> str:
    return repr(one_line(name)[:80])
