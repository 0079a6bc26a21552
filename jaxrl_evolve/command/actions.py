"""Subcommands that can do several things: ``jaxrl-evolve COMMAND ACTION …``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxrl_evolve.command.arguments import PROGRAM, Command, asks_for_help, parse
from jaxrl_evolve.settings.names import suggestion


class Action(NamedTuple):
    """What can be done.

    Attributes:
        summary: one line.
        arguments: a dataclass of options.
        run: of these.
    """

    summary: str
    arguments: Any
    run: Callable[[Any], str]


def with_actions(usage: str, summary: str, actions: Mapping[str, Action], example: str = "") -> Command:
    """A subcommand whose first word says what it does; the example, words after its name, stands in its help."""
    command = usage.partition(" ")[0]

    def parsed(words: list[str]) -> tuple[Action, Any]:
        if not words or asks_for_help(words[:1]):
            lines = [f"  {name:<14}  {action.summary}" for name, action in actions.items()]
            more = [f"For example: {PROGRAM} {command} {example}"] if example else []
            more.append(f"{PROGRAM} {command} ACTION --help explains it.")
            print("\n".join([f"usage: {PROGRAM} {command} ACTION …", "", *lines, "", *more]))
            raise SystemExit(0 if words else 2)
        name, *rest = words
        if name not in actions:
            raise ValueError(f"{command} has no action {name!r}: {suggestion(name, actions)}")
        return actions[name], parse(actions[name].arguments, f"{command} {name}", rest)

    return Command(usage, summary, parsed, lambda chosen: chosen[0].run(chosen[1]))
