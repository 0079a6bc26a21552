"""The command ``jaxrl-evolve``: a thin layer over the library, one file per subcommand.

Wrong usage ends with one sentence and exit code 2, a failure with one sentence and exit code 1; an interrupt saves
first. What takes long to import is imported by whoever needs it, so that help comes at once.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from jaxrl_evolve.command.arguments import PROGRAM
from jaxrl_evolve.command.commands import find_command, overview

USAGE_ERROR, FAILURE = 2, 1
_SIGNAL_EXIT = {"SIGINT": 130, "SIGTERM": 143}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from jaxrl_evolve import __version__

        print(__version__)
        return 0
    from jaxrl_evolve.training import hosts

    return hosts.leave(_main(words))


def _main(words: list[str]) -> int:
    import jax

    from jaxrl_evolve.storage.checkpoint import CheckpointError
    from jaxrl_evolve.training import hosts
    from jaxrl_evolve.training.interrupts import Diverged, Interrupted

    try:
        try:
            with _warnings_as_sentences():
                _run(words)
        except (Diverged, Interrupted):
            hosts.part()  # all processes come to this together
            raise
        hosts.part()
        return 0
    except CheckpointError as error:
        return _complain(error, FAILURE)
    except ValueError as error:
        return _complain(error, USAGE_ERROR)
    except (Diverged, OSError, ImportError) as error:
        return _complain(error, FAILURE)
    except jax.errors.JaxRuntimeError as error:  # the device gave up, usually for want of memory
        hint = (
            "; --group N holds fewer seeds on the device at a time"
            if "RESOURCE_EXHAUSTED" in str(error)
            else ""
        )
        return _complain(f"{str(error).partition(chr(10))[0]}{hint}", FAILURE)
    except Interrupted as error:
        return _complain(error, _SIGNAL_EXIT.get(error.signal, FAILURE))
    except KeyboardInterrupt:
        return _complain("interrupted", _SIGNAL_EXIT["SIGINT"])
    except SystemExit as exit:  # tyro's: 0 after --help, 2 after wrong usage
        return exit.code if isinstance(exit.code, int) else USAGE_ERROR


def _run(words: list[str]) -> None:
    command = find_command(words[0])
    said = command.run(command.parse(words[1:]))
    if said:
        print(said)


@contextlib.contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """The library's own warnings as one line each, without the place in the code that Python adds."""
    from jaxrl_evolve.objectives import HorizonWarning
    from jaxrl_evolve.objectives.kinds import RenamedWarning

    ours, told = (HorizonWarning, RenamedWarning), set[str]()
    with warnings.catch_warnings():
        for category in ours:
            warnings.simplefilter("always", category)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, ours):
                if str(message) not in told:
                    print(f"{PROGRAM}: {message}", file=sys.stderr)
                told.add(str(message))
            else:
                usual(message, category, *place)

        warnings.showwarning = show
        yield


def _complain(error: object, code: int) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return code
