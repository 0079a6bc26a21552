"""What subcommands share: how one is described, how its words are parsed, and where a run goes.

Field docstrings are the help texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import tyro

PROGRAM = "jaxrl-evolve"


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        usage: its name and what it takes, as the help writes it.
        summary: what it does.
        parse: words after the name -> arguments. Wrong ones raise ValueError, or SystemExit as tyro does.
        run: arguments -> what is printed; empty for nothing.
    """

    usage: str
    summary: str
    parse: Callable[[list[str]], Any]
    run: Callable[[Any], str]

    @property
    def name(self) -> str:
        """The word that asks for it."""
        return self.usage.partition(" ")[0]


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a run goes."""

    out: str
    """Run folder to write. One that is not empty is refused, unless --resume or --overwrite."""
    resume: bool = False
    """Continue the run in the folder, if there is one."""
    overwrite: bool = False
    """Delete the run in the folder first."""
    quiet: bool = False
    """Show no progress and no summary."""


@dataclasses.dataclass(frozen=True)
class Devices:
    """What it runs on."""

    coordinator: str = ""
    """Address `host:port` of the first process, to train on several hosts; 'auto' where the cluster tells
    (SLURM, TPU pods). Every process gets the same command."""
    processes: int = 0
    """Number of processes (not with 'auto')."""
    process_id: int = -1
    """This process's number, from 0 (not with 'auto')."""
    join_seconds: float = 30.0
    """How long processes wait for each other at the start."""
    cache: str = ""
    """Folder of the compilation cache; empty for the user's cache folder, 'off' for none."""


def flat(cls: Any) -> Any:
    """A dataclass whose options have no prefix."""
    return Annotated[cls, tyro.conf.arg(name="")]


def parser(cls: Any, name: str) -> Callable[[list[str]], Any]:
    """The `Command.parse` of a subcommand whose arguments are a dataclass."""
    return lambda words: tyro.cli(cls, prog=f"{PROGRAM} {name}", args=words)


def parse_run(
    command: str, words: list[str], cls: Any, default: Any, description: str, *extra: tuple[str, Any, Any]
) -> Any:
    """Words after a command as what it is about, where the run goes, its configuration and devices.

    Args:
        command: the subcommand.
        words: the subject (an algorithm, an objective, or nothing), and options.
        cls: type of the configuration.
        default: its values where words say nothing.
        description: of the whole, for the help.
        extra: name, type and default of further groups of options.

    Returns:
        An object with ``config``, ``output``, ``devices`` and the names in ``extra``.
    """
    fields = [
        ("config", flat(cls), dataclasses.field(default=default)),
        *((name, flat(t), dataclasses.field(default=d)) for name, t, d in extra),
        ("devices", flat(Devices), dataclasses.field(default=Devices())),
    ]
    arguments = dataclasses.make_dataclass(
        "Arguments", [("output", flat(Output)), *fields], frozen=True, kw_only=True
    )
    prog = f"{PROGRAM} {command} {words[0]}".rstrip()
    return tyro.cli(arguments, prog=prog, args=words[1:], description=description)


def option(words: list[str], name: str) -> str | None:
    """The value of an option among words that are not parsed yet."""
    for i, word in enumerate(words):
        if word == name and i + 1 < len(words):
            return words[i + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def asks_for_help(words: list[str]) -> bool:
    """Whether words ask what the options are."""
    return bool({"-h", "--help"} & set(words))
