"""Steps of XLand-MiniGrid once more, in plain NumPy on tiles and colours, from what its rules and goals mean; knows nothing of specs."""

from __future__ import annotations

STEPS = [(-1, 0), (0, 1), (1, 0), (0, -1)]
FLOOR = (1, 7)
WALKABLE, PICKABLE = (1, 6, 10), (3, 4, 5, 7, 11, 12)


class Oracle:
    """One episode: ``grid`` is ``{(row, column): (tile, colour)}``, ``pocket`` a pair, (0, 0) for nothing."""

    def __init__(self, goal, rules, grid, at, facing, limit):
        self.goal, self.rules = [int(x) for x in goal], [[int(x) for x in rule] for rule in rules]
        self.grid, self.at, self.facing, self.pocket = dict(grid), at, facing, (0, 0)
        self.limit, self.time, self.fired = limit, 0, []

    def look(self, cell):
        return self.grid.get(cell, (0, 0))

    def beyond(self, cell, side):
        return cell[0] + STEPS[side][0], cell[1] + STEPS[side][1]

    def step(self, action):
        """``(reward, won)``."""
        self.time += 1
        self.facing = (self.facing + {1: 1, 2: -1}.get(action, 0)) % 4
        ahead = self.beyond(self.at, self.facing)
        there = self.look(ahead)
        if action == 0 and there[0] in WALKABLE:
            self.at = ahead
        if action == 3 and there[0] in PICKABLE and self.pocket == (0, 0):
            self.pocket, self.grid[ahead] = there, FLOOR
        if action == 4 and there[0] == 1 and self.pocket != (0, 0):
            self.pocket, self.grid[ahead] = (0, 0), self.pocket
        for rule in self.rules:
            self.ruled(rule, action, ahead)
        won = self.won(action, ahead)
        return (1 - 0.9 * self.time / self.limit if won else 0.0), won

    def pairs(self, row, first=1):
        return [(row[i], row[i + 1]) for i in range(first, len(row) - 1, 2)]

    def met(self, a, b, sides, cell):
        """Neighbours of a cell that make a pair with it: ``b`` lies on such a side of ``a``."""
        here = self.look(cell)
        found = []
        for side in range(4):
            other = self.look(self.beyond(cell, side))
            if (here == a and other == b and side in sides) or (
                here == b and other == a and (side + 2) % 4 in sides
            ):
                found.append(self.beyond(cell, side))
        return found

    def ruled(self, rule, action, ahead):
        kind, (a, b, c) = rule[0], self.pairs(rule)
        before = dict(self.grid), self.pocket
        if kind == 1 and action == 3 and self.pocket == a:
            self.pocket = b
        if (kind == 2 and action == 0) or (8 <= kind <= 11 and action in (0, 4)):
            sides = range(4) if kind == 2 else [kind - 8]
            for cell in [cell for s in sides if self.look(cell := self.beyond(self.at, s)) == a]:
                self.grid[cell] = b
        if 3 <= kind <= 7 and action == 4:
            cells = self.met(a, b, range(4) if kind == 3 else [kind - 4], ahead)
            self.grid |= dict.fromkeys(cells, c)
            self.grid |= {ahead: FLOOR} if cells else {}
        if before != (self.grid, self.pocket):
            self.fired.append(kind)

    def won(self, action, ahead):
        kind, (a, b) = self.goal[0], self.pairs(self.goal)
        around = lambda sides: any(self.look(self.beyond(self.at, s)) == a for s in sides)
        if kind == 1:
            return action == 3 and self.pocket == a
        if kind == 2:
            return action == 0 and self.look(self.at) == a
        if kind == 3:
            return action == 0 and around(range(4))
        if kind == 4 or 7 <= kind <= 10:
            return action == 4 and bool(self.met(a, b, range(4) if kind == 4 else [kind - 7], ahead))
        if kind == 5:
            return self.look(b) == a
        if kind == 6:
            return self.at == a
        return action in (0, 4) and around([kind - 11])

    def view(self, side):
        """What the agent sees, ``[side, side]`` of pairs: it looks up from the middle of the last row."""
        (down, right), (aside_down, aside_right) = STEPS[self.facing], STEPS[(self.facing + 1) % 4]
        return [
            [
                self.look((self.at[0] + f * down + s * aside_down, self.at[1] + f * right + s * aside_right))
                for s in range(-(side // 2), side // 2 + 1)
            ]
            for f in range(side - 1, -1, -1)
        ]
