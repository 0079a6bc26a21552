"""Learned objectives in files: parameters with everything that is needed to use and to judge them.

A stored objective is one ``.npz`` archive (no pickles) of its parameters' leaves and a JSON header. Those in
the folder ``shipped`` beside this module come with the library and are known by the names of their files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.files import Unreadable, one_line, parse_json, parse_npz, read_regular, write_whole
from jaxrl_evolve.objectives.families import ObjectiveFamily, families, find_kind, made
from jaxrl_evolve.objectives.library import FILE_NAME
from jaxrl_evolve.objectives.objective import AnyObjective
from jaxrl_evolve.objectives.time_config import HorizonRange
from jaxrl_evolve.settings.names import closed, suggestion
from jaxrl_evolve.settings.nested import from_fields, tuples

FORMAT = 1

_PROGRAM = "jaxrl_evolve objective"
_HEADER, _LEAF = "header", "eta/"
_MOST_HEADER = 2**20
_FACTS: dict[str, tuple[type, type | None]] = {
    "environments": (tuple, str),
    "budget": (dict, None),
    "seeds": (tuple, int),
    "scores": (dict, None),
    "command": (str, None),
    "date": (str, None),
}
_WORDS = {
    (tuple, str): "a list of names",
    (tuple, int): "a list of whole numbers",
    (dict, None): "an object of fields",
    (str, None): "text",
}


class StoredObjectiveError(ValueError):
    """A stored objective cannot be written, read or used; the message names what is wrong."""


@dataclasses.dataclass(frozen=True)
class StoredObjective:
    """A learned objective and where it comes from.

    Attributes:
        kind: its family, see `objectives.families`.
        settings: of the family's dataclass.
        eta: parameters, float32 leaves of the shapes that the settings ask for.
        horizons: training horizons in meta-training.
        environments: what it was meta-trained on.
        budget: e.g. ``{"generations": 500, "population": 64, "env_steps": 1e9}``.
        seeds: of the meta-training.
        scores: what it reached, by name.
        command: the command that made it.
        date: when, ISO 8601.

    Raises:
        StoredObjectiveError: the kind is not known, or the parameters don't fit the settings.
    """

    kind: str
    settings: Any
    eta: Any
    horizons: HorizonRange | None = None
    environments: tuple[str, ...] = ()
    budget: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    scores: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    date: str = ""

    def __post_init__(self) -> None:
        family = self.family
        if not isinstance(self.settings, family.settings):
            raise StoredObjectiveError(
                f"settings are a {type(self.settings).__name__}, but kind {self.kind!r} has {family.settings.__name__}"
            )
        _fitted(made(family, self.settings), _named(self.eta))

    @property
    def family(self) -> ObjectiveFamily:
        """How objectives of its kind are built."""
        return _family(self.kind)

    def objective(self) -> AnyObjective:
        """The objective; its ``init`` returns the stored parameters whatever the key."""
        untrained = made(self.family, self.settings)

        def init(key: jax.Array) -> Any:
            del key
            return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), self.eta)

        return untrained._replace(init=init, horizons=self.horizons or untrained.horizons)


def save(path: str | os.PathLike[str], stored: StoredObjective) -> None:
    """Write an objective so that the file holds the old content or the new, never a part.

    Raises:
        StoredObjectiveError: it cannot be written, or a fact about it has no JSON form.
    """
    path = Path(path)
    content = {
        "program": _PROGRAM,
        "format": FORMAT,
        "kind": stored.kind,
        "settings": dataclasses.asdict(stored.settings),
        "horizons": stored.horizons and dataclasses.asdict(stored.horizons),
        **{name: getattr(stored, name) for name in _FACTS},
    }
    try:
        header = json.dumps(content, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise StoredObjectiveError(f"cannot write {path}: its header has no JSON form: {error}") from None
    archive = io.BytesIO()
    arrays: dict[str, Any] = {_HEADER: np.frombuffer(header, np.uint8)}
    arrays |= {_LEAF + name: np.asarray(leaf) for name, leaf in _named(stored.eta).items()}
    np.savez(archive, **arrays)
    try:
        write_whole(path, archive.getbuffer())
    except OSError as error:
        raise StoredObjectiveError(f"cannot write {path}: {error.strerror}") from None


def load(path: str | os.PathLike[str] | Traversable) -> StoredObjective:
    """The objective in a file, or in the run folder of a meta-training.

    Raises:
        StoredObjectiveError: there is none, it is damaged or not such a file, its kind or format is not known, or
            its parameters have other shapes than its settings ask for.
    """
    data, path = _content(path)
    header, leaves = _parsed(data, path)
    if header.get("format") != FORMAT:
        raise StoredObjectiveError(
            f"{path} has format {header.get('format')!r}, but this version reads format {FORMAT}"
        )
    try:
        family = _family(header.get("kind"))
        settings = from_fields(family.settings, header.get("settings", {}), "settings")
        horizons = header.get("horizons")
        return StoredObjective(
            kind=header["kind"],
            settings=settings,
            eta=_fitted(made(family, settings), leaves),
            horizons=horizons and from_fields(HorizonRange, horizons, "horizons"),
            **_facts(header),
        )
    except ValueError as error:
        raise StoredObjectiveError(f"{path}: {one_line(error)}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError, MemoryError) as error:
        # Of settings that a family of another package does not check, or that no array could be made of.
        why = f"{type(error).__name__}: {one_line(error)[:200]}"
        raise StoredObjectiveError(f"{path}: its settings cannot be used ({why})") from None


def _parsed(data: bytes, path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the parameters' leaves by name."""
    if not data.startswith(b"PK"):
        raise StoredObjectiveError(f"{path} is not a stored objective: it is not an .npz archive")
    try:
        arrays = parse_npz(data)
    except Unreadable as error:
        raise StoredObjectiveError(f"{path} is damaged: {one_line(error)}") from None
    header = arrays.pop(_HEADER, np.zeros(0, np.uint8))
    try:
        content = parse_json(header.tobytes()) if header.nbytes <= _MOST_HEADER else None
    except Unreadable:
        content = None
    if not isinstance(content, dict) or content.get("program") != _PROGRAM:
        raise StoredObjectiveError(f"{path} is not a stored objective: it has no header of one")
    return content, {name.removeprefix(_LEAF): leaf for name, leaf in arrays.items()}


def _facts(header: Mapping[str, Any]) -> dict[str, Any]:
    """What the header says of the objective's origin, each of its type."""
    facts: dict[str, Any] = {}
    for name, (kind, inside) in _FACTS.items():
        if name not in header:
            continue
        value = tuples(header[name])
        if not isinstance(value, kind) or any(type(item) is not inside for item in value if inside):
            raise ValueError(f"{name} is {one_line(repr(value))[:100]}; it must be {_WORDS[kind, inside]}")
        facts[name] = value
    return facts


def checksum(path: str | os.PathLike[str] | Traversable) -> str:
    """SHA-256 (hex) of a stored objective's file.

    Raises:
        StoredObjectiveError: there is none.
    """
    return hashlib.sha256(_content(path)[0]).hexdigest()


def _content(path: str | os.PathLike[str] | Traversable) -> tuple[bytes, str]:
    place = path if isinstance(path, Traversable) else Path(path)
    if place.is_dir():
        if not (place / FILE_NAME).is_file():
            raise StoredObjectiveError(f"folder {path} holds no stored objective: it has no {FILE_NAME}")
        place = place / FILE_NAME
    try:
        # What came with the library may lie in an archive, where only it can be read from.
        return (read_regular(place) if isinstance(place, Path) else place.read_bytes()), str(place)
    except FileNotFoundError:
        raise StoredObjectiveError(f"there is no stored objective {path}") from None
    except Unreadable as error:
        raise StoredObjectiveError(f"{place} is not a stored objective: {error}") from None
    except OSError as error:
        raise StoredObjectiveError(f"cannot read {place}: {error.strerror}") from None


def _family(kind: Any) -> ObjectiveFamily:
    family = find_kind(kind) if isinstance(kind, str) else None
    if family is None:
        hint = closed(suggestion(str(kind), families()))
        raise StoredObjectiveError(
            f"kind is {kind!r}, which this version does not know: {hint} "
            "A family of another package is known where that is installed"
        )
    return family


def _named(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _fitted(objective: AnyObjective, leaves: Mapping[str, Any]) -> Any:
    """The leaves in the structure of the objective's parameters, once they are seen to fit."""
    template = jax.eval_shape(lambda: objective.init(jax.random.key(0)))
    wanted = _named(template)
    unfit = f"the parameters don't fit objective {objective.name!r} with these settings:"
    for name, like in wanted.items():
        if name not in leaves:
            raise StoredObjectiveError(f"{unfit} leaf {name}, of shape {like.shape}, is missing")
    for name, leaf in leaves.items():
        shape, dtype = tuple(np.shape(leaf)), getattr(leaf, "dtype", None)
        if name not in wanted:
            raise StoredObjectiveError(f"{unfit} leaf {name}, of shape {shape}, is none of its parameters")
        if shape != wanted[name].shape:
            raise StoredObjectiveError(
                f"{unfit} leaf {name} has shape {shape}, expected {wanted[name].shape}"
            )
        if dtype != wanted[name].dtype:
            raise StoredObjectiveError(
                f"{unfit} leaf {name} has dtype {dtype}, expected {wanted[name].dtype}"
            )
        if not np.isfinite(leaf).all():
            raise StoredObjectiveError(f"leaf {name} of the parameters has values that are not finite")
    return jax.tree.unflatten(jax.tree.structure(template), [leaves[name] for name in wanted])
