"""What subcommands share that have a configuration and write a folder: preset, file and words, in this order."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from typing import Any

from jaxrl_evolve.command.arguments import PROGRAM, Devices, Hidden, flat, parse
from jaxrl_evolve.settings.names import spelled
from jaxrl_evolve.settings.nested import update


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a run goes, and what it starts from."""

    out: str = ""
    """Run folder to write. One that is not empty is refused, unless --resume or --overwrite."""
    config: str = ""
    """File, or run folder, whose configuration to start from instead of the preset; other options replace its fields."""
    dump: bool = False
    """Print the configuration, as --config reads it, and train nothing."""
    resume: bool = False
    """Continue the run in the folder, if there is one."""
    overwrite: bool = False
    """Delete the run in the folder first."""
    quiet: bool = False
    """Show no progress and no summary."""


def parse_run(
    command: str,
    words: list[str],
    cls: Any,
    default: Any,
    description: str,
    *extra: tuple[str, Any, Any],
    unread: Iterable[str] = (),
) -> Any:
    """Words after a command as what it is about, where the run goes, its configuration and devices.

    Args:
        command: the subcommand.
        words: the subject (an algorithm, an objective, or nothing), and options.
        cls: type of the configuration.
        default: its values where words say nothing.
        description: of the whole, for the help.
        extra: name, type and default of further groups of options.
        unread: dotted names of fields that are of no use here, and no options.

    Returns:
        An object with ``config``, ``output``, ``devices`` and the names in ``extra``.

    Raises:
        ValueError: a value is not allowed, or no folder is given.
    """
    fields = [
        ("config", flat(cls), dataclasses.field(default=default)),
        *((name, flat(t), dataclasses.field(default=d)) for name, t, d in extra),
        ("devices", flat(Devices), dataclasses.field(default=Devices())),
    ]
    arguments = dataclasses.make_dataclass(
        "Arguments",
        [("output", flat(Output), dataclasses.field(default=Output())), *fields],
        frozen=True,
        kw_only=True,
    )
    unread = tuple(unread)
    _refuse(f"{command} {words[0]}", words, unread)
    found = parse(
        arguments, f"{command} {words[0]}".rstrip(), words[1:], description, hidden_fields(default, unread)
    )
    config = update(default, found.config)
    if not found.output.out and not found.output.dump:
        raise ValueError(f"{command} needs a folder to write: --out FOLDER")
    return dataclasses.replace(found, config=config)


def _refuse(command: str, words: list[str], unread: Iterable[str]) -> None:
    for word in words:
        name = spelled(word.partition("=")[0].removeprefix("--"))
        if word.startswith("--") and any(f"{name}.".startswith(f"{field}.") for field in unread):
            raise ValueError(f"{name} is given, which {command} does not read: leave it away")


def hidden_fields(config: Any, unread: Iterable[str]) -> Hidden:
    """The dataclasses of a configuration, and which of their fields are of no use, by dotted names."""
    hidden: dict[Any, set[str]] = {}

    def walk(instance: Any) -> None:
        hidden.setdefault(type(instance), set())
        for field in dataclasses.fields(instance):
            if dataclasses.is_dataclass(inner := getattr(instance, field.name)):
                walk(inner)

    walk(config)
    for name in unread:
        *path, last = name.split(".")
        owner = config
        for part in path:
            owner = getattr(owner, part)
        hidden[type(owner)].add(last)
    return hidden


def or_dump(run: Callable[[Any], str]) -> Callable[[Any], str]:
    """What a subcommand does, or if it is asked for that alone, its configuration in words."""

    def dumped_or_run(arguments: Any) -> str:
        if arguments.output.dump:
            return json.dumps(arguments.config.to_json(), indent=2)
        return run(arguments)

    return dumped_or_run


def same_subject(name: str, asked: str, there: str, file: str) -> None:
    """Refuse a subject other than that of the file which a run starts from.

    Raises:
        ValueError: naming both.
    """
    if asked != there:
        raise ValueError(
            f"{name} is {asked!r}, but the configuration in {file} has {there!r}: leave the word away, or write "
            f"{PROGRAM} … {there}"
        )
