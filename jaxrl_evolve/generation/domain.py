"""What proposers know of a kind of environments: its language, its skills and what they need, and how a spec is changed.

Operators are data. A language of one's own brings its own, and the offline proposer works with them as with any.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from jaxrl_envs.specs.language import Language, SpecError
from jaxrl_evolve.settings.names import suggestion

Kind = Literal["grant", "fade", "expand", "threaten", "relocate", "cross", "reset"]
"""What a change is for: to give what is missing; to take it away again; to ask for more; to make it more dangerous; to move
things elsewhere; to join two parents; to begin anew from the original with one thing changed.
"""
KINDS: tuple[str, ...] = get_args(Kind)

Change = Callable[[np.random.Generator, tuple[dict[str, Any], ...], str], "Mapping[str, Any] | None"]
"""``(rng, parents, target) -> child``: copies of the parents' data, which may be changed in place, and the skill that the child is
for. None where there is nothing to change.
"""


class Skill(NamedTuple):
    """Something that an agent can learn to do.

    Attributes:
        name: of the skill.
        needs: names of the skills that come before it.
        grantable: whether a spec can hand out what the skill gives, so that others need not wait for it.
    """

    name: str
    needs: tuple[str, ...] = ()
    grantable: bool = False


class Operator(NamedTuple):
    """One kind of change, of which a child has one.

    Attributes:
        name: of the operator.
        kind: what it is for.
        change: the change.
        parents: how many it reads.
    """

    name: str
    kind: Kind
    change: Change
    parents: int = 1


class Descriptor(NamedTuple):
    """One way in which specs are told apart in the archive, beside the skill that they are for.

    Attributes:
        name: such as ``"threat"``.
        levels: how many there are.
        of: ``data -> level``, from 0.
    """

    name: str
    levels: int
    of: Callable[[Mapping[str, Any]], int]


@dataclasses.dataclass(frozen=True, eq=False)
class Domain:
    """A kind of environments.

    Attributes:
        language: in which they are written.
        original: data of the environment that all this is for, spec 0.
        skills: what is measured in it.
        operators: how specs are changed.
        descriptors: the cells of the archive, beside the skill.
        rules: the world in plain words, for those who read words.
        goal: ``data -> skill``: what a spec asks for, where its data tell, so that it is filed under that whatever its author says; empty
            where they do not.
    """

    language: Language
    original: Mapping[str, Any]
    skills: tuple[Skill, ...]
    operators: tuple[Operator, ...]
    descriptors: tuple[Descriptor, ...] = ()
    rules: str = ""
    goal: Callable[[Mapping[str, Any]], str] = lambda data: ""

    def __post_init__(self) -> None:
        names = [skill.name for skill in self.skills]
        for what, found in (("skills", names), ("operators", [o.name for o in self.operators])):
            if not found:
                raise ValueError(f"{what} is empty; a domain needs one at least")
            if twice := [name for name in found if found.count(name) > 1]:
                raise ValueError(f"{what} has {twice[0]!r} twice")
        for skill in self.skills:
            for need in skill.needs:
                if need not in names:
                    raise ValueError(
                        f"skill {skill.name!r} needs {need!r}, which is none: {suggestion(need, names)}"
                    )
        for operator in self.operators:
            if operator.kind not in KINDS:
                raise ValueError(
                    f"operator {operator.name!r} is of kind {operator.kind!r}: {suggestion(operator.kind, KINDS)}"
                )
        if circle := self._circle():
            raise ValueError(f"skill {circle!r} needs itself: skills must not need each other in a circle")
        try:
            self.language.read(dict(self.original))
        except SpecError as error:
            raise ValueError(f"original is no spec of {self.language.name}: {error}") from None

    def _circle(self) -> str:
        return next((s.name for s in self.skills if s.name in self.needed(s.name)), "")

    def skill(self, name: str) -> Skill:
        """The skill called ``name``.

        Raises:
            ValueError: there is none; with near matches.
        """
        found = {skill.name: skill for skill in self.skills}
        if name not in found:
            raise ValueError(f"there is no skill {name!r}: {suggestion(name, found)}")
        return found[name]

    def needed(self, name: str) -> set[str]:
        """All skills that come before one."""
        needs = {skill.name: skill.needs for skill in self.skills}
        found: set[str] = set()
        waiting = list(needs[name])
        while waiting:
            if (one := waiting.pop()) not in found:
                found.add(one)
                waiting.extend(needs[one])
        return found

    def after(self, name: str) -> set[str]:
        """All skills that one comes before."""
        return {skill.name for skill in self.skills if name in self.needed(skill.name)}

    def cell(self, data: Mapping[str, Any], target: str) -> tuple[int, ...]:
        """Where a spec belongs in the archive: the skill that it is for, counted from 1 (0 is none), and the level of each descriptor."""
        names = [skill.name for skill in self.skills]
        levels = [min(max(int(d.of(data)), 0), d.levels - 1) for d in self.descriptors]
        return (names.index(target) + 1 if target in names else 0, *levels)
