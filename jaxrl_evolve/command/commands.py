"""The subcommands, in the order of the help."""

from __future__ import annotations

from jaxrl_evolve.command import (
    benchmark,
    evaluate,
    export,
    generate,
    listing,
    meta_sweep,
    meta_test,
    meta_train,
    preferences,
    render,
    report,
    resume,
    spec,
    sweep,
    train,
)
from jaxrl_evolve.command.arguments import PROGRAM, Command
from jaxrl_evolve.settings.names import suggestion

_MODULES = (
    train,
    resume,
    evaluate,
    sweep,
    benchmark,
    report,
    listing,
    render,
    export,
    meta_train,
    meta_test,
    meta_sweep,
    preferences,
    spec,
    generate,
)
COMMANDS = {module.COMMAND.name: module.COMMAND for module in _MODULES}


def find_command(name: str) -> Command:
    """The subcommand called ``name``.

    Raises:
        ValueError: none is called so; the message gives near matches.
    """
    if name not in COMMANDS:
        raise ValueError(f"command is {name!r}, which is not known: {suggestion(name, COMMANDS)}")
    return COMMANDS[name]


def overview() -> str:
    """What there is, for whoever asks for no subcommand."""
    lines = [f"  {command.usage:<40}  {command.summary}" for command in COMMANDS.values()]
    return "\n".join(
        [f"usage: {PROGRAM} COMMAND …", "", *lines, "", f"{PROGRAM} COMMAND --help explains a command."]
    )
