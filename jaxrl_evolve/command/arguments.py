"""What subcommands share: how one is described, and how its words are parsed.

Field docstrings are the help texts. A field is spelled with underscores, as in Python, grids and files; hyphens are
understood.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructTypeInfo,
)

from jaxrl_evolve.command.refusal import as_sentence
from jaxrl_evolve.settings.fields import whole_number
from jaxrl_evolve.settings.names import meant, near, spelled
from jaxrl_evolve.settings.nested import joined

PROGRAM = "jaxrl-evolve"

Hidden = Mapping[Any, Collection[str]]
"""Fields that are no options, by dataclass."""


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        usage: its name and what it takes, as the help writes it.
        summary: what it does.
        parse: words after the name -> arguments. Wrong ones raise ValueError, help SystemExit.
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


def checkpoint(step: int) -> int | None:
    """The checkpoint that the option ``--step`` names, by its number of updates; None for the newest, which is -1.

    Raises:
        ValueError: it is below -1.
    """
    if step < -1:
        raise ValueError(f"step is {step}; it must be a number of updates, or -1 for the newest checkpoint")
    return None if step == -1 else step


def flat(cls: Any) -> Any:
    """A dataclass whose options have no prefix."""
    return Annotated[cls, tyro.conf.arg(name="")]


def parser(cls: Any, name: str) -> Callable[[list[str]], Any]:
    """The `Command.parse` of a subcommand whose arguments are a dataclass."""
    return lambda words: parse(cls, name, words)


def parse(
    cls: Any,
    name: str,
    words: list[str],
    description: str | None = None,
    hidden: Hidden | None = None,
) -> Any:
    """Words as a dataclass.

    Args:
        cls: the dataclass.
        name: of the subcommand.
        words: after its name.
        description: for the help; by default the dataclass's own.
        hidden: dataclasses inside that come back as mappings of their fields, so that whoever makes them says what is
            wrong; with the fields that are no options and keep their defaults.

    Raises:
        ValueError: there is no such option (with near matches), or a value is wrong or missing.
    """
    with as_sentence():
        found, unknown = tyro.cli(
            cls,
            prog=f"{PROGRAM} {name}",
            args=words,
            description=description,
            use_underscores=True,
            registry=_rules(hidden or {}),
            return_unknown_args=True,
        )
    if unknown:
        raise ValueError(_no_place(unknown, _options(cls, hidden or {}), name))
    return found


def _no_place(unknown: list[str], options: list[str], name: str) -> str:
    word = next((word for word in unknown if word.startswith("-")), unknown[0])
    if word.lower() in ("true", "false"):
        return f"there is no place for {word!r}: a switch has no value; `{PROGRAM} {name} --help` shows how it is turned on and off"
    top = [option for option in options if "." not in option]
    likely = near(option_name(word), top, [option for option in options if "." in option])
    hint = meant([f"--{option}" for option in likely]) or f"`{PROGRAM} {name} --help` shows all options"
    what = f"option {word.partition('=')[0]}" if word.startswith("-") else f"place for {word!r}"
    return f"there is no {what}: {hint}"


def _options(thing: Any, hidden: Hidden, where: str = "") -> list[str]:
    """Dotted names of the options that tyro makes of a dataclass, or of an instance that has the defaults."""
    cls, found = thing if isinstance(thing, type) else type(thing), list[str]()
    hints = typing.get_type_hints(cls, include_extras=True)
    plain = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        markers = getattr(hints[field.name], "__metadata__", ())
        if field.name in hidden.get(cls, ()) or {tyro.conf.Suppress, tyro.conf.Positional} & {*markers}:
            continue
        made = field.default_factory
        inner = field.default if made is dataclasses.MISSING else made()
        if inner is dataclasses.MISSING:  # as a class, its options are known as well
            inner = plain[field.name]
        inner = inner if isinstance(thing, type) else getattr(thing, field.name)
        flat = any(getattr(marker, "name", None) == "" for marker in markers)
        name = where if flat else joined(where, field.name)
        found += _options(inner, hidden, name) if dataclasses.is_dataclass(inner) else [name]
    return found


def _rules(hidden: Hidden) -> ConstructorRegistry:
    """How words become values, where tyro's own ways are not ours."""
    registry, within = ConstructorRegistry(), list[Any]()

    @registry.primitive_rule
    def whole(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda words: whole_number(words[0]),
            is_instance=lambda x: isinstance(x, int),
            str_from_instance=lambda x: [str(x)],
        )

    @registry.primitive_rule
    def choice(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        choices = typing.get_args(info.type)
        if info.type_origin is not Literal or not all(isinstance(one, str) for one in choices):
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=f"{{{','.join(choices)}}}",
            instance_from_str=lambda words: _chosen(words[0], choices),
            is_instance=lambda x: x in choices,
            str_from_instance=lambda x: [x],
        )

    @registry.struct_rule
    def mapping(info: StructTypeInfo) -> StructConstructorSpec | None:
        if info.type not in hidden or info.type in within:
            return None
        within.append(info.type)  # so that tyro's own rule is asked now
        try:
            spec: Any = ConstructorRegistry.get_struct_spec(info)
        finally:
            within.remove(info.type)
        suppressed = lambda field: dataclasses.replace(field, type=tyro.conf.Suppress[field.type])
        fields = (suppressed(f) if f.name in hidden[info.type] else f for f in spec.fields)
        return dataclasses.replace(spec, fields=tuple(fields), instantiate=lambda **values: values)

    return registry


def _chosen(word: str, choices: Sequence[str]) -> str:
    if word in choices:
        return word
    allowed = f"{word!r} is none of {', '.join(choices)}"
    hint = meant(near(word, choices))
    raise ValueError(f"{allowed}: {hint}" if hint else allowed)


def option_name(word: str) -> str:
    """The field that a word names, as it is spelled; empty of a word that is no option."""
    return spelled(word[2:].partition("=")[0]) if word.startswith("--") else ""


def option(words: list[str], name: str) -> str | None:
    """The value of an option among words that are not parsed yet: the last one, as the parser takes it."""
    value = None
    for i, word in enumerate(words):
        if option_name(word) == option_name(name):
            if "=" in word:
                value = word.partition("=")[2]
            elif i + 1 < len(words):
                value = words[i + 1]
    return value


def asks_for_help(words: list[str]) -> bool:
    """Whether words ask what the options are."""
    return bool({"-h", "--help"} & set(words))
