"""Grid specs once more: a simulator in plain Python and NumPy, cell by cell and rule by rule, from the meaning of the fields.

It reads the spec itself, not its arrays. Of the interpreter it takes the start of an episode and the random seeds of a step.
"""

from __future__ import annotations

import itertools

import numpy as np

STEPS = [(-1, 0), (0, 1), (1, 0), (0, -1)]
MASK = 0xFFFFFFFF


def mixed(x):
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & MASK
    return x ^ (x >> 16)


def numbered(seed, i):
    return mixed((seed + i * 0x9E3779B9) & MASK)


def fraction(bits):
    return np.float32((bits >> 8) * 2.0**-24)


class Simulator:
    """One episode. ``step`` gives ``(reward, terminated, truncated, success)``."""

    def __init__(self, spec, state, side):
        self.spec, self.side = spec, side
        self.names = ["void", "floor", *(t.name for t in spec.types)]
        self.kinds = {t.name: t for t in spec.types}
        name = lambda i: self.names[int(i)]
        self.grid = {(r, c): name(state.grid[r, c]) for r in range(side) for c in range(side)}
        self.ground = {cell: name(state.ground[cell]) for cell in self.grid}
        self.hits = {cell: int(state.hits[cell]) for cell in self.grid}
        self.at = (int(state.row), int(state.column))
        self.facing, self.health, self.time = int(state.facing), int(state.health), int(state.time)
        self.held = {n: int(state.inventory[i]) for i, n in enumerate(self.names)}
        self.succeeded = False
        self.ever = {p.name: False for p in spec.predicates}
        self.tell()

    def flag(self, name, flag):
        return (name == "floor" and flag in ("walkable", "ground")) or (
            name in self.kinds and getattr(self.kinds[name], flag)
        )

    def beyond(self, cell, direction):
        return (cell[0] + STEPS[direction][0], cell[1] + STEPS[direction][1])

    def around(self, cell):
        return [self.beyond(cell, d) for d in range(4)]

    def look(self, cell):
        return self.grid.get(cell, "void")

    def put(self, cell, name):
        self.grid[cell] = name
        self.hits[cell] = self.kinds[name].health if name in self.kinds else 1

    def remove(self, cell):
        """What lies on a cell goes; what was ground itself leaves floor."""
        if self.flag(self.grid[cell], "ground"):
            self.ground[cell] = "floor"
        self.put(cell, self.ground[cell])

    def leave(self, cell):
        self.put(cell, self.ground[cell])

    def turn_into(self, cell, name, whole):
        """A cell becomes something: with its ground, if it is ground or the rule is about both."""
        if name == "floor" and not whole:
            return self.remove(cell)
        if self.flag(name, "ground") or whole:
            self.ground[cell] = name if self.flag(name, "ground") else "floor"
        return self.put(cell, name)

    def tell(self):
        """Which predicates hold, which have, and how far they are."""
        self.now, self.progress = {}, {}
        base = [p for p in self.spec.predicates if p.kind != "achieved"]
        for p in base:
            self.now[p.name], self.progress[p.name] = self.holds(p)
        seen = {n: self.ever[n] or self.now[n] for n in self.now}
        for p in self.spec.predicates:
            if p.kind == "achieved":
                self.now[p.name] = seen[p.of]
                self.progress[p.name] = float(self.now[p.name])
        self.ever = {n: self.ever[n] or self.now[n] for n in self.ever}

    def holds(self, p):
        shares = lambda cell: (
            p.by in (self.grid[cell], self.ground[cell]) or (p.by is None and cell == self.at)
        )
        with_ = [shares(cell) for cell in self.grid if p.of in (self.grid[cell], self.ground[cell])]
        number = {
            "with": lambda: sum(with_),
            "without": lambda: len(with_) - sum(with_),
            "count": lambda: sum(n == p.of for n in self.grid.values()),
            "holds": lambda: self.held[p.of],
            "survived": lambda: self.time,
            "health": lambda: self.health,
        }
        if p.kind in number:
            x = number[p.kind]()
            now = {">=": x >= p.number, "<=": x <= p.number, "==": x == p.number}[p.compare]
            gradual = min(1.0, x / max(1, p.number))
            return now, gradual if p.compare == ">=" else float(now)
        if p.kind == "near":
            far = lambda cell: abs(cell[0] - self.at[0]) + abs(cell[1] - self.at[1])
            now = any(n == p.of and far(cell) <= p.number for cell, n in self.grid.items())
        elif p.kind == "beside":
            now = any(
                n == p.of and any(self.look(other) == p.by for other in self.around(cell))
                for cell, n in self.grid.items()
            )
        else:
            r = p.region
            now = r.row <= self.at[0] < r.row + r.height and r.column <= self.at[1] < r.column + r.width
        return now, float(now)

    def act(self, action):
        """The agent's part; gives what rules read."""
        entered = works = False
        picked = None
        if 1 <= action <= 4:
            self.facing = action - 1
        ahead = self.beyond(self.at, self.facing)
        there = self.look(ahead)
        if 1 <= action <= 4:
            behind = self.beyond(ahead, self.facing)
            stands = self.flag(self.ground.get(ahead, "void"), "walkable")
            if self.flag(there, "pushable") and self.flag(self.look(behind), "ground") and stands:
                self.grid[behind], self.hits[behind] = there, self.hits[ahead]
                self.leave(ahead)
                entered = True
            elif self.flag(there, "walkable"):
                entered = True
            if entered:
                self.at = ahead
        if action == 5 and there != "void":
            works = self.hits[ahead] <= 1
            if not works:
                self.hits[ahead] -= 1
        if action == 6 and self.flag(there, "pickable") and self.held[there] < 9:
            picked = there
        consumed = works and self.flag(there, "consumable")
        return entered, works, picked, consumed, ahead

    def cells(self, rule, entered, works, picked, ahead):
        """Where a rule's trigger is."""
        of = lambda cell: self.look(cell) == rule.of
        if rule.when == "step":
            return [self.at] if entered and of(self.at) else []
        if rule.when == "interact":
            return [ahead] if works and of(ahead) else []
        if rule.when == "pick_up":
            return [ahead] if picked and of(ahead) else []
        if rule.when == "adjacent" and rule.by is None:
            return [cell for cell in self.around(self.at) if of(cell)]
        if rule.when == "adjacent":
            return [c for c in self.grid if of(c) and any(self.look(o) == rule.by for o in self.around(c))]
        if rule.when == "on":
            thing = lambda cell: cell == self.at if rule.of is None else of(cell)
            return [cell for cell in self.grid if thing(cell) and self.ground[cell] == rule.by]
        if rule.when == "timer" and self.time % rule.every == 0:
            return [cell for cell in self.grid if of(cell)]
        return []

    def fires(self, index, rule, cells, seed):
        if rule.when == "held":
            happens = self.held[rule.of] > 0
        elif rule.when == "timer" and rule.of is None:
            happens = self.time % rule.every == 0
        else:
            happens = bool(cells)
        nine = itertools.product((-1, 0, 1), repeat=2)
        near = rule.near is None or any(
            self.look((self.at[0] + r, self.at[1] + c)) == rule.near for r, c in nine
        )
        enough = all(self.held[a.item] >= a.count for a in rule.needs)
        enough &= all(self.held[a.item] <= a.count for a in rule.at_most)
        return happens and near and enough and fraction(numbered(seed, index)) < np.float32(rule.chance)

    def rules(self, seeds, entered, works, picked, consumed, ahead):
        where = [self.cells(rule, entered, works, picked, ahead) for rule in self.spec.rules]
        fires = [self.fires(i, r, where[i], seeds[0]) for i, r in enumerate(self.spec.rules)]
        if picked or consumed:
            self.remove(ahead)
        new = {}
        for rule, cells, comes in zip(self.spec.rules, where, fires, strict=True):
            for cell in cells if comes and rule.becomes else ():
                new.setdefault(cell, (rule.becomes, rule.when == "on"))
        for cell, (name, whole) in new.items():
            self.turn_into(cell, name, whole)
        self.spawn(seeds[1], where, fires)
        if picked:
            self.held[picked] += 1
        for rule, comes in zip(self.spec.rules, fires, strict=True):
            for change in rule.changes if comes else ():
                self.held[change.item] += change.count
            self.health += rule.health if comes else 0
        self.held = {n: min(9, max(0, count)) for n, count in self.held.items()}

    def spawn(self, seed, where, fires):
        new = {}
        for i, rule in enumerate(self.spec.rules):
            there = sum(n == rule.spawns for n in self.grid.values())
            if not (fires[i] and rule.spawns and there < rule.most):
                continue
            beside = {cell for of in where[i] for cell in self.around(of)}
            if rule.when == "held" or rule.of is None:
                beside |= set(self.around(self.at))
            allowed = [
                c for c, n in self.grid.items()
                if n == "floor" and c != self.at and (rule.where == "anywhere" or c in beside)
            ]  # fmt: skip
            if allowed:
                new.setdefault(self.first(allowed, seed, i), rule.spawns)
        for cell, name in new.items():
            self.put(cell, name)
            if self.flag(name, "ground"):
                self.ground[cell] = name

    def first(self, cells, seed, rule):
        number = lambda cell: cell[0] * self.side + cell[1]
        turn = numbered(~seed & MASK, rule)
        return min(cells, key=lambda cell: ((numbered(seed, number(cell)) ^ turn) & ~0x3FF) | number(cell))

    def move(self, seed):
        wants = {}
        for cell, name in self.grid.items():
            kind = self.kinds.get(name)
            if kind is None or kind.motion == "still":
                continue
            bits = numbered(seed, cell[0] * self.side + cell[1])
            down, right = self.at[0] - cell[0], self.at[1] - cell[1]
            towards = (2 if down > 0 else 0) if abs(down) >= abs(right) else (1 if right > 0 else 3)
            heads = {"random": bits & 3, "chase": towards, "flee": (towards + 2) % 4}[kind.motion]
            target = self.beyond(cell, heads)
            if (
                fraction(bits) < np.float32(kind.speed)
                and self.flag(self.look(target), "ground")
                and target != self.at
            ):
                wants.setdefault(target, {})[heads] = cell
        moved = {t: from_[next(d for d in (2, 3, 0, 1) if d in from_)] for t, from_ in wants.items()}
        taken = {t: (self.grid[c], self.hits[c]) for t, c in moved.items()}
        for cell in moved.values():
            self.leave(cell)
        for target, (name, hits) in taken.items():
            self.grid[target], self.hits[target] = name, hits

    def harm(self):
        hurts = lambda cell: self.kinds[self.look(cell)].hazard if self.look(cell) in self.kinds else 0
        beside = [hurts(c) for c in self.around(self.at) if not self.flag(self.look(c), "walkable")]
        return hurts(self.at) + max([0, *beside])

    def clauses(self, clauses):
        return any(all(self.now[n] for n in c.all) and not any(self.now[n] for n in c.none) for c in clauses)

    def step(self, action, seeds):
        before, ever, progress = self.now, self.ever, self.progress
        self.time += 1
        entered, works, picked, consumed, ahead = self.act(action)
        self.health += self.kinds[self.look(ahead)].heals if consumed else 0
        self.rules(seeds, entered, works, picked, consumed, ahead)
        self.move(seeds[2])
        self.health = min(9, max(0, self.health - self.harm()))
        self.tell()
        lost = self.health <= 0 or self.clauses(self.spec.failure)
        success = self.clauses(self.spec.success) and not lost
        reward = self.reward(before, ever, progress) + self.spec.reward.success * (
            success and not self.succeeded
        )
        reward = min(self.spec.reward.clip, max(-self.spec.reward.clip, reward))
        self.succeeded |= success
        terminated = lost or (success and self.spec.ends_on_success)
        return reward, terminated, self.time >= self.spec.time_limit, self.succeeded

    def reward(self, before, ever, progress):
        total = self.spec.reward.step
        for w in self.spec.reward.weights:
            risen = self.now[w.predicate] and not before[w.predicate]
            total += w.first * (risen and not ever[w.predicate]) + w.each * risen
            total += w.potential * (self.progress[w.predicate] - progress[w.predicate])
        return total
