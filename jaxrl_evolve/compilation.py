"""Nothing is compiled twice: programs kept in the process, and XLA's part of the work kept on disk.

A program is kept as its jitted functions under a key that names everything they close over. What may differ
between two uses (random roots, hyperparameters, parameters of objectives and environments, horizons) is an
argument of theirs. Shapes, devices and jax's own settings (precision of numbers and products, the generator of
random numbers) need no place in a key: jax itself compiles a jitted function anew where these differ.
"""

from __future__ import annotations

import os
import threading
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import jax

T = TypeVar("T")

KEPT = 16
"""How many programs of a kind a process keeps. The one that was used longest ago makes room for a new one."""

_programs: defaultdict[str, OrderedDict[Hashable, Any]] = defaultdict(OrderedDict)
_done: set[Hashable] = set()
_lock = threading.Lock()


class Same:
    """An object as part of a key: equal to itself alone. It is held, so that no other can take its address.

    Methods of one object are one thing, though Python makes them anew each time.
    """

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        method = isinstance(thing, types.MethodType)
        self._parts = (thing.__self__, thing.__func__) if method else (thing,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Same) or len(self._parts) != len(other._parts):
            return False
        return all(a is b for a, b in zip(self._parts, other._parts, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self._parts)))


def kept(kind: str, key: Hashable | None, make: Callable[[], T]) -> T:
    """What ``make`` made the first time that it was asked for under this key.

    Args:
        kind: of program, by name; so many of each are kept that no other kind drives them out.
        key: all that determines it; None if that is not known, then it is made anew each time.
        make: gives jitted functions. They are kept alive with what they close over, so that must not be large.
    """
    if key is None:
        return make()
    with _lock:
        of_this_kind = _programs[kind]
        if key in of_this_kind:
            of_this_kind.move_to_end(key)
            return of_this_kind[key]
    made = make()
    with _lock:
        of_this_kind[key] = made
        of_this_kind.move_to_end(key)
        while len(of_this_kind) > KEPT:
            of_this_kind.popitem(last=False)
    return made


def once(key: Hashable | None, check: Callable[[], object]) -> None:
    """Make a check that passed under this key no second time; one that fails is made again.

    Args:
        key: all that determines it; None if that is not known, then it is made each time.
        check: raises if something is wrong.
    """
    if key is not None and key in _done:
        return
    check()
    if key is not None:
        _done.add(key)


def forget_programs() -> None:
    """Let go of every program that this process keeps; what comes next compiles anew.

    For those who change code under a running process (a patched function, a module loaded again), which no key can
    see, or who need the memory.
    """
    with _lock:
        _programs.clear()
        _done.clear()


def use_compilation_cache(folder: str | os.PathLike[str] | None = None) -> None:
    """Keep what XLA compiles in a folder, for the processes to come. The command does this by itself.

    Args:
        folder: where; it is made for this user alone if it is not there. By default ``jaxrl_evolve/compiled`` in
            the user's cache folder, unless ``JAX_COMPILATION_CACHE_DIR`` is set: then jax's settings stay as
            they are.

    Raises:
        OSError: the folder can't be made.
    """
    if folder is None and "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(folder or Path(home) / "jaxrl_evolve" / "compiled")
    # Entries are executable, so it must not be one that others can write.
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    _look_again()


def _look_again() -> None:
    """jax asks for its cache's folder when it first compiles, and would not look for another afterwards."""
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()
