"""What a game is made of: objects, the names that stand for several of them, and which of them lie on the ground."""

from __future__ import annotations

import re
from typing import NamedTuple

from jaxrl_envs.specs.caps import BUILT_IN
from jaxrl_envs.specs.model import COLOURS
from jaxrl_envs.specs.puzzles.source import Game, Line, blocks, wrong

PLAYER, BACKGROUND = "player", "background"
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,23}$")
_SHADES = {"gray": "grey", "lightblue": "cyan", "transparent": "white", "magenta": "pink"}


class World(NamedTuple):
    """Objects of a game.

    Attributes:
        colours: of each object by name, in the order of the file.
        things: objects that fill a cell: those in the player's layer, itself among them.
        grounds: objects that lie below them.
        either: names that stand for one of several objects.
        glyphs: letters of levels, each with the objects that it stands for.
    """

    colours: dict[str, str]
    things: set[str]
    grounds: set[str]
    either: dict[str, tuple[str, ...]]
    glyphs: dict[str, tuple[str, ...]]

    def meant(self, word: str, line: Line) -> tuple[str, ...]:
        """The objects that a word in a rule or a condition stands for."""
        word = word.lower()
        known = [*self.colours, *self.either]
        if word not in known:
            wrong(line, f"there is no object {word!r}; it must be one of {', '.join(known)}", known, word)
        return self.either.get(word, (word,))


def world_of(game: Game) -> World:
    """What the sections of objects, legend and collision layers say.

    Raises:
        SpecError: a line says something else.
    """
    sections = game.sections
    colours, glyphs = _objects(sections["objects"], game.heads["objects"])
    either = dict[str, tuple[str, ...]]()
    for line in sections["legend"]:
        if line.text:
            _explain(line, colours, either, glyphs)
    things, grounds = _layers(sections["collisionlayers"], colours, either)
    return World(colours, things, grounds, either, glyphs)


def _objects(lines: list[Line], head: Line) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    colours, glyphs = dict[str, str](), dict[str, tuple[str, ...]]()
    for block in blocks(lines):
        name, *letters = block[0].text.lower().split()
        if not _NAME.match(name) or name in colours or name in BUILT_IN:
            wrong(
                block[0],
                f"an object must have a name of its own: a letter, then letters, digits or _, at most 24, and none of {', '.join(BUILT_IN)}",
            )
        if len(letters) > 1 or any(len(letter) > 1 for letter in letters):
            wrong(block[0], "after an object's name there may be one letter that stands for it in levels")
        if len(block) not in (2, 7) or any(not re.match(r"^[.0-9]{5}$", row.text) for row in block[2:]):
            wrong(
                block[0],
                "an object must have a line of colours, and may have five lines of five letters, each . or a digit",
            )
        word = block[1].text.lower().split()[0]
        plain = re.sub("^(dark|light)(?=.)", "", word) if word not in _SHADES else _SHADES[word]
        colours[name] = {"gray": "grey"}.get(plain, plain) if plain in (*COLOURS, "gray") else "grey"
        glyphs |= dict.fromkeys(letters, (name,))
    for name in (BACKGROUND, PLAYER):
        if name not in colours:
            wrong(head, f"there must be an object {name}")
    return colours, glyphs


def _explain(
    line: Line,
    colours: dict[str, str],
    either: dict[str, tuple[str, ...]],
    glyphs: dict[str, tuple[str, ...]],
) -> None:
    said, equals, rest = line.text.lower().partition(" = ")
    words = rest.split()
    joins = {*words[1::2]}
    if not equals or len(words) % 2 == 0 or len(joins) > 1 or not joins <= {"and", "or"}:
        wrong(line, "it must be a letter or a name, =, and objects joined by and, or all by or")
    known = [*colours, *either, *glyphs]
    for word in words[::2]:
        if word not in known:
            wrong(line, f"there is no object {word!r}; it must be one of {', '.join(known)}", known, word)
    many = [glyphs.get(word) or either.get(word, (word,)) for word in words[::2]]
    objects = tuple(name for names in many for name in names)
    said = said.strip()
    if len(said) == 1:
        if "or" in joins or any(word in either for word in words):
            wrong(line, "a letter of levels must stand for what lies in one cell, joined by and")
        glyphs[said] = objects
    elif "and" in joins or not _NAME.match(said) or said in colours:
        wrong(
            line, "a name must stand for one of several objects, joined by or; only a letter may join by and"
        )
    else:
        either[said] = objects


def _layers(
    lines: list[Line], colours: dict[str, str], either: dict[str, tuple[str, ...]]
) -> tuple[set[str], set[str]]:
    layers, last = list[tuple[Line, set[str]]](), Line(0, "")
    for line in lines:
        if not line.text:
            continue
        last, words = line, [word for word in re.split(r"[,\s]+", line.text.lower()) if word]
        for word in words:
            if word not in colours and word not in either:
                known = [*colours, *either]
                wrong(line, f"there is no object {word!r}; it must be one of {', '.join(known)}", known, word)
        layers.append((line, {name for word in words for name in either.get(word, (word,))}))
    placed = [name for _, names in layers for name in names]
    for name in colours:
        if placed.count(name) != 1:
            wrong(last, f"every object must be in one layer, and {name!r} is in {placed.count(name)}")
    for line, names in layers:
        if BACKGROUND in names and len(names) > 1:
            wrong(line, "background must have a layer of its own")
    rest = [(line, names) for line, names in layers if not names & {BACKGROUND, PLAYER}]
    if len(rest) > 1:
        wrong(
            rest[1][0],
            "there may be three layers: background, what lies on the ground, and the player with all that fills a cell",
        )
    things = next(names for _, names in layers if PLAYER in names)
    return things, rest[0][1] if rest else set()
