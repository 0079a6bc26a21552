"""The objectives there are by name: written ones, learned ones, those of other packages, and stored ones."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxrl_evolve.objectives.families import BUILTIN_FAMILIES, family_of, members
from jaxrl_evolve.objectives.library import FILE_NAME, shipped
from jaxrl_evolve.objectives.time_config import HorizonRange
from jaxrl_evolve.objectives.written import WRITTEN
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.foreign import Refused, called, told
from jaxrl_evolve.settings.later import later
from jaxrl_evolve.settings.notices import Notice

if TYPE_CHECKING:
    from jaxrl_evolve.objectives.objective import AnyObjective

RENAMED = {"dpo": "discovered"}
"""Old names, which work for one release."""

_load = later("objectives.stored", "load")
_checksum = later("objectives.stored", "checksum")


class RenamedWarning(Notice, DeprecationWarning):
    """A name is used that will mean something else, or nothing."""


def find_objective(name: str) -> AnyObjective:
    """The objective called ``name``: shipped, built in, from an installed package, or stored in a file.

    Args:
        name: a name, or the path of a stored objective or of the run folder of its meta-training.

    Raises:
        ValueError: none is called so (the message gives near matches), its file can't be used, or its factory fails.
    """
    if name in RENAMED and name not in objective_names():
        warnings.warn(f"objective {name!r} is called {RENAMED[name]!r} now", RenamedWarning, stacklevel=2)
        name = RENAMED[name]
    _tell_of_a_folder(name)
    if file := _stored_file(name):
        return _load(file).objective()
    from jaxrl_evolve.objectives.objective import AnyObjective

    family_of(name)  # which tells of another that goes by this name
    made = called(f"objective {name!r}: its factory", plugins.find(plugins.OBJECTIVES, name, _known()))
    if not isinstance(made, AnyObjective):
        raise Refused(f"objective {name!r}: its factory gave {told(made)}; it must be an Objective")
    return made


def path_of(folder: str) -> str:
    """How to ask for the objective of a run folder: a path, that no name can be mistaken for."""
    return folder if os.sep in folder else os.path.join(os.curdir, folder)


def _tell_of_a_folder(name: str) -> None:
    """A name that could as well be a folder's (`Notice`): names come first."""
    if os.sep not in name and os.path.exists(os.path.join(name, FILE_NAME)) and name in objective_names():
        warnings.warn(
            f"objective {name!r} is the one of that name; the one that the folder of this name holds is {path_of(name)!r}",
            Notice,
            stacklevel=3,
        )


def objective_names() -> list[str]:
    """The names that `find_objective` knows, sorted."""
    return plugins.names(plugins.OBJECTIVES, _known())


def is_builtin(name: str) -> bool:
    """Whether a name is that of one of the library's own objectives, which need no check."""
    own = {member for family in BUILTIN_FAMILIES.values() for member in family.members}
    return name in {*own, *WRITTEN, *RENAMED, *shipped()}


class Learned(NamedTuple):
    """What a learned objective is.

    Attributes:
        kind: of its family.
        settings: of the family's dataclass.
        horizons: at which it was trained, where it was and its file says so.
    """

    kind: str
    settings: Any
    horizons: HorizonRange | None


def learned(name: str) -> Learned | None:
    """What the learned objective called ``name`` is; None of a written one, and of one that a package offers without a family.

    Raises:
        ValueError: its file can't be used.
    """
    if file := _stored_file(name):
        stored = _load(file)
        return Learned(stored.kind, stored.settings, stored.horizons)
    family = family_of(name)
    return None if family is None else Learned(family.kind, family.members[name], None)


def objective_checksum(name: str) -> str:
    """SHA-256 (hex) of the file that the objective called ``name`` is stored in; empty if it is in no file.

    Raises:
        ValueError: there is no such file.
    """
    file = _stored_file(name)
    return _checksum(file) if file else ""


def objective_source(name: str) -> object:
    """What says what a name means, the same object whenever it is asked for: the function of a written objective or of
    an entry point, the family of a learned one.

    Raises:
        ValueError: none is called so; the message gives near matches.
    """
    name = name if name in objective_names() else RENAMED.get(name, name)
    return family_of(name) or plugins.find(plugins.OBJECTIVES, name, WRITTEN)


def _known() -> dict[str, Callable[[], AnyObjective]]:
    """Factories by name; a shipped objective takes the place of an untrained one."""
    of_file = {name: lambda file=file: _load(file).objective() for name, file in shipped().items()}
    return {**members(), **WRITTEN, **of_file}


def _stored_file(name: str) -> str | Traversable | None:
    """Where the objective is stored, if ``name`` is that of a shipped one or a path; names come first."""
    if name in (files := shipped()):
        return files[name]
    if name in RENAMED or name in objective_names():
        return None
    return name if os.sep in name or name.endswith(".npz") or os.path.isdir(name) else None
