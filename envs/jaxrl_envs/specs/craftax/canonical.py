"""One form for all ways to write the same Craftax spec."""

from __future__ import annotations

from jaxrl_envs.specs.canonical import rounded
from jaxrl_envs.specs.craftax.model import SIZES, SKILLS, Band, CraftaxSpec, Skill, Start


def canonical(spec: CraftaxSpec) -> CraftaxSpec:
    """The form in which two specs of one environment are equal. What is placed keeps its order, which matters."""
    spec = rounded(spec)
    goals = _ordered(spec.goals)
    return spec.model_copy(
        update={
            "targets": _ordered(spec.targets),
            "goals": () if goals == SKILLS else goals,
            "start": _start(spec.start, SIZES[spec.size] // 2),
        }
    )


def _ordered(skills: tuple[Skill, ...]) -> tuple[Skill, ...]:
    return tuple(skill for skill in SKILLS if skill in skills)


def _start(start: Start, middle: int) -> Start:
    bands: dict[str, Band] = {
        name: getattr(start, name) for name in ("plants", "cows", "zombies", "skeletons")
    }
    unused = {name: type(band)() for name, band in bands.items() if not getattr(band, "count", 0)}
    return start.model_copy(
        update={
            "row": None if start.row == middle else start.row,
            "column": None if start.column == middle else start.column,
            "achieved": _ordered(start.achieved),
            **unused,
        }
    )
