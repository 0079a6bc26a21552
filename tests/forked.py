"""Commands in processes of their own that need not import everything anew: forked from one that has, before it started a backend."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

PRELOADED = ("orbax.checkpoint", "matplotlib.figure", "matplotlib.backends.backend_agg", "mortal")
"""With what these import. There is one server for all tests of a worker, so all of them name the same."""


def server() -> ForkServerContext:
    """Children are forked with all modules imported and no backend started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def run_module(
    module: str,
    words: Sequence[str],
    where: Path,
    path: Sequence[str],
    environment: Mapping[str, str],
    timeout: float = 240,
) -> subprocess.CompletedProcess[str]:
    """What ``python -m MODULE WORDS`` does, in a folder of its own.

    Args:
        module: by name.
        words: of the command.
        where: the folder; what is said goes through two files beside it.
        path: searched for modules and packages before all else.
        environment: variables that differ.
        timeout: seconds.
    """
    said = [where.with_name(f"{where.name}.{name}") for name in ("out", "err")]
    child = server().Process(
        target=_live, args=(module, list(words), str(where), list(path), dict(environment), said)
    )
    child.start()
    child.join(timeout)
    if child.exitcode is None:
        child.kill()
        raise TimeoutError(f"{module} {' '.join(words)}")
    return subprocess.CompletedProcess([module, *words], child.exitcode, *(file.read_text() for file in said))


def _live(
    module: str, words: list[str], where: str, path: list[str], environment: dict[str, str], said: list[Path]
) -> None:
    for descriptor, file in zip((1, 2), said, strict=True):
        os.dup2(os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), descriptor)
    os.environ.update(environment)
    os.chdir(where)
    sys.path[:0] = path
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code: object = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
