"""What subcommands share that have a configuration and write a folder: preset, file and words, in this order."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import tyro

from jaxrl_evolve.command.arguments import PROGRAM, Devices, Hidden, flat, option, option_name, parse
from jaxrl_evolve.settings.fields import whole_number
from jaxrl_evolve.settings.nested import expanded, update, without_default
from jaxrl_evolve.storage.configurations import configuration_data, reading


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a run goes, and what it starts from."""

    out: Annotated[str, tyro.conf.arg(help_behavior_hint="(required, unless --dump is given)")] = ""
    """Run folder to write. One that is not empty is refused, unless --resume or --overwrite."""
    config: str = ""
    """File, or run folder, whose configuration to start from instead of the preset; other options replace its fields."""
    dump: bool = False
    """Print the configuration, as --config reads it, and train nothing."""
    resume: bool = False
    """Continue the run in the folder, if there is one."""
    overwrite: bool = False
    """Replace the run in the folder. It is deleted with the first row of the new one."""
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


def configuration_in(file: str, cls: Any, kind: str, subject: str, words: list[str]) -> Any:
    """The configuration in a file, to start from; what it leaves out and has no default is taken from the words.

    Args:
        file: a file or run folder.
        cls: type of the configuration.
        kind: of run, see `storage.kinds`.
        subject: the field that the first word gives, if it is no option.
        words: after the subcommand's name.

    Raises:
        ValueError: there is none, fields are missing in both, or one is unknown or not allowed.
    """
    data = configuration_data(file, kind)
    there, types = expanded(data), typing.get_type_hints(cls)
    if words and not words[0].startswith("-"):
        data.setdefault(subject, words[0])
    for name in without_default(cls):
        if name in there:
            continue
        if (text := option(words, f"--{name}")) is not None:
            data[name] = text
            if types[name] is int:
                with contextlib.suppress(ValueError):  # which is refused by name, as any other value
                    data[name] = whole_number(text)
        elif any(option_name(word).startswith(f"{name}.") for word in words):
            data[name] = {}  # whose fields follow, with all other options
    with reading(file, kind):
        return cls.from_json(data)


def _refuse(command: str, words: list[str], unread: Iterable[str]) -> None:
    for word in words:
        name = option_name(word)
        if name and any(f"{name}.".startswith(f"{field}.") for field in unread):
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
            return json.dumps(arguments.config.to_json(whole=True), indent=2)
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
