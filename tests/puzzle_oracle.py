"""PuzzleScript once more: a game's text played in plain Python, its late rules one after the other, each until nothing changes.

It reads the text itself. A level is a tuple of rows of sets of objects; the player lost is a level without one.
"""

from __future__ import annotations

import re

MOVES = {"u": (-1, 0), "r": (0, 1), "d": (1, 0), "l": (0, -1)}


class Game:
    def __init__(self, text):
        parts = re.split(
            r"\n(OBJECTS|LEGEND|COLLISIONLAYERS|RULES|WINCONDITIONS|LEVELS)\n", text.lower(), flags=re.I
        )
        said = {parts[i]: [x.strip() for x in parts[i + 1].split("\n")] for i in range(1, len(parts), 2)}
        lines = lambda name: [x for x in said[name] if x]
        legend = [line.split(" = ") for line in lines("legend")]
        self.glyphs = {a: frozenset(b.split(" and ")) - {"background"} for a, b in legend if len(a) == 1}
        self.either = {a: set(b.split(" or ")) for a, b in legend if len(a) > 1}
        layers = [{x.strip() for x in line.split(",")} for line in lines("collisionlayers")]
        self.solid = next(layer for layer in layers if "player" in layer)
        self.pushed, self.late = set(), []
        for line in lines("rules"):
            sides = [[c.split() for c in s.split("|")] for s in re.findall(r"\[(.*?)\]", line)]
            if line.startswith("late"):
                self.late.append([[frozenset(c) for c in side] for side in sides])
            else:
                self.pushed |= self.either.get(sides[0][1][0], {sides[0][1][0]})
        self.conditions = [line.split() for line in lines("winconditions")]
        self.level = tuple(tuple(self.glyphs[x] for x in row) for row in lines("levels"))

    def put(self, level, changes):
        rows = [list(row) for row in level]
        for (r, c), objects in changes.items():
            rows[r][c] = frozenset(objects)
        return tuple(map(tuple, rows))

    def at(self, level, cell):
        r, c = cell
        return level[r][c] if 0 <= r < len(level) and 0 <= c < len(level[0]) else None

    def cells(self, level):
        return [(r, c) for r in range(len(level)) for c in range(len(level[0]))]

    def step(self, level, move):
        """The level after a move."""
        me = next(cell for cell in self.cells(level) if "player" in self.at(level, cell))
        down, right = MOVES[move]
        ahead, behind = ((me[0] + k * down, me[1] + k * right) for k in (1, 2))
        there, beyond = self.at(level, ahead), self.at(level, behind)
        if there is not None:
            blocks = there & self.solid
            goes = not blocks
            if blocks & self.pushed and beyond is not None and not beyond & self.solid:
                level, goes = self.put(level, {ahead: there - blocks, behind: beyond | blocks}), True
            if goes:
                here = self.at(level, me) - {"player"}
                level = self.put(level, {me: here, ahead: self.at(level, ahead) | {"player"}})
        return self.finish(level)

    def finish(self, level):
        for before, after in self.late:
            changed = True
            while changed:
                changed = False
                for cell in self.cells(level):
                    for step in MOVES.values() if len(before) == 2 else [(0, 0)]:
                        group = [(cell[0] + k * step[0], cell[1] + k * step[1]) for k in range(len(before))]
                        found = [self.at(level, c) for c in group]
                        if all(f is not None and b <= f for f, b in zip(found, before, strict=True)):
                            new = {
                                c: (f - b) | a for c, f, b, a in zip(group, found, before, after, strict=True)
                            }
                            after_it = self.put(level, new)
                            changed |= after_it != level
                            level = after_it
        return level

    def alive(self, level):
        return any("player" in objects for row in level for objects in row)

    def won(self, level):
        objects = [cell for row in level for cell in row]
        return self.alive(level) and all(self.holds(words, objects) for words in self.conditions)

    def holds(self, words, cells):
        meant = lambda word: self.either.get(word, {word})
        first = [cell for cell in cells if cell & meant(words[1])]
        on = [cell for cell in first if len(words) == 2 or cell & meant(words[3])]
        return {"no": not on, "some": bool(on), "any": bool(on), "all": len(on) == len(first)}[words[0]]
