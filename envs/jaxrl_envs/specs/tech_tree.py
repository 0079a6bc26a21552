"""A family of specs that are small tech trees: wood, a table, a pickaxe, stone, iron, a key, and a chest of gold.

Each skill needs the ones before it. Members of the family differ in which skill is their goal, in what the agent is granted
at the start, and in how much of everything lies around; the family's own environment, ``ORIGINAL``, asks for the chest and grants
nothing. So what a generator of environments has to find, scaffolds that it takes away again, is there to be found.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_envs.contract import Arms
from jaxrl_envs.specs.arrays import GridParams
from jaxrl_envs.specs.decoding import decode
from jaxrl_envs.specs.encoding import params_of
from jaxrl_envs.specs.grid import GRID
from jaxrl_envs.specs.model import GridSpec

SKILLS = (
    "collect_wood",
    "place_table",
    "make_pickaxe",
    "collect_stone",
    "collect_iron",
    "make_key",
    "open_chest",
)
"""In the order in which they need each other."""
GRANTS = (("wood", 0, 3), ("pickaxe", 2, 1), ("stone", 3, 2), ("iron", 4, 1), ("key", 5, 1))
"""What may be granted: an item, the skill that it stands for, and how many."""
STREWN = (
    ("tree", 2, 8),
    ("rock", 2, 10),
    ("ore", 1, 4),
    ("chest", 1, 2),
    ("lava", 0, 4),
    ("zombie", 0, 2),
    ("table", 0, 1),
)
"""What lies around: a type, the least of it and the most. A table that lies there is granted."""
_USUAL = {"tree": 5, "rock": 6, "ore": 2, "chest": 1, "lava": 1, "zombie": 1, "table": 0}
_TABLE, _TABLE_SKILL = len(STREWN) - 1, 1


def _rules() -> list[dict[str, Any]]:
    has = lambda **items: [{"item": item, "count": count} for item, count in items.items()]
    use = lambda of, **rest: {"when": "interact", "of": of, **rest}
    return [
        use("tree", changes=has(wood=1)),
        use("floor", needs=has(wood=2), changes=has(wood=-2), becomes="table"),
        use("table", needs=has(wood=1), at_most=has(pickaxe=0), changes=has(wood=-1, pickaxe=1)),
        use("rock", needs=has(pickaxe=1), changes=has(stone=1), becomes="floor"),
        use("ore", needs=has(pickaxe=1, stone=1), changes=has(iron=1), becomes="floor"),
        use("table", needs=has(iron=1, stone=1), at_most=has(key=0), changes=has(iron=-1, stone=-1, key=1)),
        use("chest", needs=has(key=1), changes=has(key=-1, gold=1), becomes="floor"),
    ]


def spec_data(goal: str = SKILLS[-1], time_limit: int = 160, **strewn: int) -> dict[str, Any]:
    """A member of the family as data.

    Args:
        goal: one of `SKILLS`.
        time_limit: in steps.
        **strewn: of types in `STREWN`, how many there are; the usual number else.
    """
    holds = lambda item: {"kind": "holds", "of": item}
    kinds = [
        holds("wood"),
        {"kind": "count", "of": "table"},
        *map(holds, ("pickaxe", "stone", "iron", "key", "gold")),
    ]
    item = lambda name: {"name": name}
    return {
        "name": "tech tree",
        "size": "small",
        "height": 9,
        "width": 9,
        "types": [
            {"name": "tree", "opaque": True, "colour": "green"},
            {"name": "rock", "opaque": True, "colour": "grey"},
            {"name": "ore", "opaque": True, "colour": "orange"},
            {"name": "table", "colour": "brown"},
            {"name": "chest", "colour": "yellow"},
            {"name": "lava", "walkable": True, "hazard": 2, "colour": "red"},
            {"name": "zombie", "hazard": 1, "motion": "chase", "speed": 0.25, "colour": "purple"},
            *map(item, ("wood", "pickaxe", "stone", "iron", "key", "gold")),
        ],
        "terrain": [
            {"op": "scatter", "type": kind, "count": {**_USUAL, **strewn}[kind]} for kind, _, _ in STREWN
        ],
        "rules": _rules(),
        "predicates": [{"name": name, **kind} for name, kind in zip(SKILLS, kinds, strict=True)],
        "success": [{"all": [goal]}],
        "targets": [goal],
        "reward": {"weights": [{"predicate": name, "first": 1} for name in SKILLS]},
        "time_limit": time_limit,
    }


def original(time_limit: int = 160) -> GridSpec:
    """The family's own environment: open the chest, from nothing."""
    return GRID.read(spec_data(time_limit=time_limit))


class Family:
    """The family as functions of arrays; all are pure and of one structure.

    Attributes:
        spec: a member with the names of all.
        params: of the original.
    """

    def __init__(self, time_limit: int) -> None:
        full = GRID.read(
            spec_data(time_limit=time_limit, table=1)
        )  # with a row for the table, which else would be left out
        self.spec = full
        base = params_of(full)
        types = {name: 2 + i for i, name in enumerate(t.name for t in full.types)}
        self._items = np.asarray([types[item] for item, _, _ in GRANTS], np.int32)
        rows = [step.type for step in full.terrain]
        self._rows = np.asarray([rows.index(kind) for kind, _, _ in STREWN], np.int32)
        names = [p.name for p in full.predicates]
        self._skills = np.asarray([names.index(skill) for skill in SKILLS], np.int32)
        self._base = base
        usual = jnp.asarray([_USUAL[kind] for kind, _, _ in STREWN], jnp.int32)
        self.params = self.member(jnp.asarray(len(SKILLS) - 1), usual, jnp.zeros(len(GRANTS), jnp.int32))

    def member(self, goal: jax.Array, strewn: jax.Array, granted: jax.Array) -> GridParams:
        """Parameters of one member.

        Args:
            goal: int32, the number of a skill.
            strewn: int32 ``[7]``, how many of each type.
            granted: int32 ``[5]``, how many of each item. What would grant the goal, or more, is left out.
        """
        granted = jnp.where(jnp.asarray([skill for _, skill, _ in GRANTS]) < goal, granted, 0)
        strewn = strewn.at[_TABLE].min(jnp.where(goal > _TABLE_SKILL, 1, 0))
        numbers = self._base.terrain.low.at[self._rows, 0].set(strewn.astype(jnp.float32))
        inventory = self._base.start.inventory_low.at[self._items].set(granted.astype(jnp.int32))
        wanted = jnp.asarray(self._skills)[goal] == jnp.arange(self._base.success.shape[1])
        return replace(
            self._base,
            terrain=replace(self._base.terrain, low=numbers, high=numbers),
            start=replace(self._base.start, inventory_low=inventory, inventory_high=inventory),
            success=self._base.success.at[0].set(wanted.astype(jnp.int8)),
        )

    def parts(self, params: GridParams) -> tuple[jax.Array, jax.Array, jax.Array]:
        """``(goal, strewn, granted)`` of a member."""
        goal = jnp.argmax(params.success[0][self._skills]).astype(jnp.int32)
        strewn = params.terrain.low[self._rows, 0].astype(jnp.int32)
        return goal, strewn, params.start.inventory_low[self._items]

    def sample(self, key: jax.Array) -> GridParams:
        """A member, its goal drawn uniformly."""
        key_goal, key_rest = jax.random.split(key)
        return self.with_goal(key_rest, jax.random.randint(key_goal, (), 0, len(SKILLS), jnp.int32))

    def with_goal(self, key: jax.Array, goal: jax.Array) -> GridParams:
        """A member with a goal, int32: how many of the skills before it are granted, and what lies around, are drawn uniformly."""
        key_depth, key_strewn = jax.random.split(key)
        depth = jax.random.randint(key_depth, (), 0, goal + 1, jnp.int32)
        skills = jnp.asarray([skill for _, skill, _ in GRANTS])
        granted = jnp.where(skills < depth, jnp.asarray([count for _, _, count in GRANTS]), 0)
        low, high = (jnp.asarray([row[i] for row in STREWN], jnp.int32) for i in (1, 2))
        strewn = jax.random.randint(key_strewn, low.shape, low, high + 1, jnp.int32)
        strewn = strewn.at[_TABLE].set((depth > _TABLE_SKILL).astype(jnp.int32))
        return self.member(goal, strewn, granted)

    def edited(self, key: jax.Array, params: GridParams) -> GridParams:
        """One random edit: the goal one skill on or back, one more or fewer of a type, or of what is granted; a third of the time each."""
        key_kind, key_sign, key_strewn, key_granted = jax.random.split(key, 4)
        goal, strewn, granted = self.parts(params)
        kind = jax.random.randint(key_kind, (), 0, 3, jnp.int32)
        sign = jnp.where(jax.random.bernoulli(key_sign), 1, -1).astype(jnp.int32)
        one = lambda key, rows: (
            jnp.arange(len(rows)) == jax.random.randint(key, (), 0, len(rows), jnp.int32)
        ).astype(jnp.int32)
        goal = jnp.where(kind == 0, (goal + sign).clip(0, len(SKILLS) - 1), goal)
        low, high = (jnp.asarray([row[i] for row in STREWN], jnp.int32) for i in (1, 2))
        strewn = jnp.where(kind == 1, (strewn + sign * one(key_strewn, STREWN)).clip(low, high), strewn)
        most = jnp.asarray([count for _, _, count in GRANTS], jnp.int32)
        granted = jnp.where(kind == 2, (granted + sign * one(key_granted, GRANTS)).clip(0, most), granted)
        return self.member(goal, strewn, granted)

    @property
    def arms(self) -> Arms:
        """The goals, from the easiest."""
        return Arms(SKILLS, self.with_goal)


@functools.cache
def family(time_limit: int = 160) -> Family:
    """The family for a time limit."""
    return Family(time_limit)


def decoded(params: GridParams, time_limit: int = 160) -> GridSpec:
    """A member of the family as a spec."""
    return decode(params, family(time_limit).spec)
