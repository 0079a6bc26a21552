"""Rulesets as XLand-MiniGrid encodes them, drawn here: its package holds none. NumPy alone, so that every interpreter can import it.

A ruleset asks for one thing. Rules are drawn backwards from it, each making something that the one before needs; what they need that
no rule makes lies on the map at the start. The rest of the rules are distractors, which may well lead into dead ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

NUM_RULES = 18
KINDS = 12
"""Of things in one ruleset."""
MOST_THINGS = 14
"""On the map at the start; rows beyond are zero, which means nothing."""
SIDE = 13
VIEW = 5
MAX_STEPS = 3 * SIDE * SIDE
"""XLand-MiniGrid's own limit for such a map."""
TILES = (3, 4, 5, 7, 11, 12)
"""Ball, square, pyramid, key, hexagon, star: what can be picked up."""
COLOURS = (1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
"""All but black, which is the floor's."""
HOLD, NEAR_AGENT, NEAR = 1, 2, 3
DIRECTED_NEAR, DIRECTED_NEAR_AGENT = (4, 5, 6, 7), (8, 9, 10, 11)
"""Kinds of rules; those with a direction: up, right, down, left."""
GOALS_HOLD, GOALS_NEAR_AGENT, GOALS_NEAR = (1,), (3, 11, 12, 13, 14), (4, 7, 8, 9, 10)
"""Kinds of goals that are drawn."""


class Ruleset(NamedTuple):
    """uint8 ``goal [5]``, ``rules [18, 7]`` and ``init_tiles [14, 2]``, as in XLand-MiniGrid's ``RuleSet``."""

    goal: np.ndarray
    rules: np.ndarray
    init_tiles: np.ndarray


def drawn(seed: int, directed: bool = True) -> Ruleset:
    """One ruleset.

    Args:
        seed: of NumPy's generator.
        directed: whether rules and goals with a direction are drawn, too.
    """
    rng = np.random.default_rng(seed)
    all_things = [(tile, colour) for tile in TILES for colour in COLOURS]
    things = [all_things[i] for i in rng.permutation(len(all_things))[:KINDS]]
    pick = lambda options: options[int(rng.integers(len(options)))]
    goal_kind = pick((*GOALS_HOLD, *(GOALS_NEAR_AGENT + GOALS_NEAR if directed else (3, 4))))
    asked = [int(i) for i in rng.permutation(KINDS)[: 2 if goal_kind in GOALS_NEAR else 1]]
    made, waiting, rules, there = {*asked}, [*asked], list[list[int]](), list[int]()
    while waiting:
        wanted = waiting.pop()
        unused = [i for i in range(KINDS) if i not in made]
        if len(unused) < 2 or len(rules) >= NUM_RULES // 2 or (rules and rng.random() < 0.3):
            there.append(wanted)
            continue
        rule, needs = _rule(rng, pick, unused, wanted, things, directed)
        made |= {*needs}
        waiting += needs
        rules.append(rule)
    while len(rules) < NUM_RULES:
        product, *others = (int(i) for i in rng.permutation(KINDS))
        rule, _ = _rule(rng, pick, others, product, things, directed)
        rules += [rule] if rule not in rules else []
    there += [int(i) for i in rng.integers(0, KINDS, MOST_THINGS)]
    order = rng.permutation(NUM_RULES)
    return Ruleset(
        _padded([goal_kind, *(x for i in asked for x in things[i])], 5),
        np.stack([_padded(rules[i], 7) for i in order]),
        np.asarray([things[i] for i in there[:MOST_THINGS]], np.uint8),
    )


def many(count: int, seed: int = 0, directed: bool = True) -> Ruleset:
    """So many rulesets, along a new first axis."""
    rows = [drawn(seed + i, directed) for i in range(count)]
    return Ruleset(*(np.stack(leaves) for leaves in zip(*rows, strict=True)))


def _rule(
    rng: np.random.Generator, pick: Any, options: list[int], product: int, things: Any, directed: bool
) -> tuple[list[int], list[int]]:
    """A rule that makes ``product`` of some of the options, and of which."""
    kinds = (HOLD, NEAR_AGENT, NEAR, NEAR, *((*DIRECTED_NEAR, *DIRECTED_NEAR_AGENT) if directed else ()))
    kind = pick(kinds)
    count = 2 if kind == NEAR or kind in DIRECTED_NEAR else 1
    needs = [int(i) for i in rng.choice(options, count, replace=False)]
    return [kind, *(x for i in (*needs, product) for x in things[i])], needs


def _padded(row: list[int], length: int) -> np.ndarray:
    return np.asarray(row + [0] * (length - len(row)), np.uint8)
