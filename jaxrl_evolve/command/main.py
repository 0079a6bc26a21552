"""The command ``jaxrl-evolve``: a thin layer over the library, one file per subcommand.

Wrong usage ends with one sentence and exit code 2, a failure with one sentence and exit code 1; an interrupt saves
first. Where nobody reads on, as behind `head`, it ends without a word. What takes long to import is imported by whoever needs it, so that help comes at once, and a signal during the
imports ends in one sentence.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from jaxrl_evolve.settings.notices import Notice
from jaxrl_evolve.settings.scalar import describe_only
from jaxrl_evolve.training.interrupts import EXIT_CODES, own_process

USAGE_ERROR, FAILURE = 2, 1
UNREAD = 141
"""What a process ends with when nobody reads on what it prints: what a shell makes of one that died of SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. Without arguments it is that of this process, whose signals it handles."""
    if arguments is None:
        own_process()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _command(words, alone=arguments is None)
    except BrokenPipeError:
        if _is_read():
            raise
        return UNREAD
    return code if _is_read() else code or UNREAD


def _command(words: list[str], alone: bool) -> int:
    """Its exit code; ``alone`` in a process that does nothing else."""
    from jaxrl_evolve.command.commands import overview

    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from jaxrl_evolve import __version__

        print(__version__)
        return 0
    from jaxrl_evolve.command.arguments import asks_for_help

    if alone and (asks_for_help(words) or words[0] == "list"):
        describe_only()  # the process will do nothing else
    code = _main(words)
    # Who never came to import this has not joined other processes.
    hosts = sys.modules.get("jaxrl_evolve.training.hosts")
    return hosts.leave(code) if hosts else code


def _main(words: list[str]) -> int:
    try:
        with _notices_as_sentences():
            _run(words)
        _part()
        return 0
    except KeyboardInterrupt as error:
        return _complain(str(error) or "interrupted", EXIT_CODES["SIGINT"])
    except SystemExit as exit:  # tyro's: 0 after --help, 2 after wrong usage
        return exit.code if isinstance(exit.code, int) else USAGE_ERROR
    except BrokenPipeError as error:
        return _complain(error, FAILURE) if _is_read() else UNREAD
    except Exception as error:
        code = _exit_code(error)
        if code != USAGE_ERROR and (hosts := sys.modules.get("jaxrl_evolve.training.hosts")):
            hosts.await_end()  # a collective fails as soon as another process is gone
        if code is None:
            raise
        return _complain(_brief(error), code)


def _run(words: list[str]) -> None:
    from jaxrl_evolve.command.commands import find_command

    command = find_command(words[0])
    said = command.run(command.parse(words[1:]))
    if said:
        print(said)


def _exit_code(error: Exception) -> int | None:
    """The code to end with; None for what nobody has foreseen."""
    if type(error) is ValueError:  # what is imported below takes long, and most errors are such
        return USAGE_ERROR
    from jax.errors import JaxRuntimeError

    from jaxrl_evolve.storage.checkpoint import CheckpointError
    from jaxrl_evolve.training.interrupts import Diverged, Interrupted

    if isinstance(error, Diverged | Interrupted):
        _part()  # all processes come to this together
    if isinstance(error, Interrupted):
        return EXIT_CODES.get(error.signal, FAILURE)
    # A device that gave up, usually for want of memory, is a JaxRuntimeError.
    if isinstance(error, CheckpointError | Diverged | OSError | ImportError | JaxRuntimeError):
        return FAILURE
    return USAGE_ERROR if isinstance(error, ValueError) else None


def _brief(error: Exception) -> str:
    """What the error says, in one sentence."""
    said = str(error)
    if "RESOURCE_EXHAUSTED" in said:
        return f"{said.partition(chr(10))[0]}; --group N holds fewer seeds on the device at a time"
    return said.partition("\n")[0] if type(error).__module__.split(".")[0] in ("jax", "jaxlib") else said


def _is_read() -> bool:
    """Whether what is printed still has readers; a stream that has none leads nowhere from then on."""
    left = [
        stream for stream in (sys.stdout, sys.stderr) if stream is not None and _has_lost_its_reader(stream)
    ]
    for stream in left:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # where the rest goes that is flushed at the end of the process
        os.close(nowhere)
    return not left


def _has_lost_its_reader(stream: Any) -> bool:
    try:
        stream.flush()
        # What failed to be written may be held no longer, so that there is nothing to flush.
        ends = select.poll()
        ends.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in ends.poll(0))
    except BrokenPipeError:
        return True
    except (OSError, ValueError, AttributeError):  # no file of the system's, or a system without such ends
        return False


def _part() -> None:
    if hosts := sys.modules.get("jaxrl_evolve.training.hosts"):
        hosts.part()


@contextlib.contextmanager
def _notices_as_sentences() -> Iterator[None]:
    """What the library has to say as one line each, without the place in the code that Python adds."""
    from jaxrl_evolve.command.arguments import PROGRAM

    told = set[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, Notice):
                if str(message) not in told:
                    print(f"{PROGRAM}: {message}", file=sys.stderr)
                told.add(str(message))
            else:
                usual(message, category, *place)

        warnings.showwarning = show
        yield


def _complain(error: object, code: int) -> int:
    from jaxrl_evolve.command.arguments import PROGRAM

    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code
