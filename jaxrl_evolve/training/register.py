"""Names for what was made in this process, such as in a notebook."""

from __future__ import annotations

from typing import Any, Literal

from jaxrl_envs import registry
from jaxrl_evolve.algorithms.algorithm import Algorithm
from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS
from jaxrl_evolve.compilation import forget_programs
from jaxrl_evolve.curricula.table import BUILTIN_CURRICULA
from jaxrl_evolve.networks.table import BUILTIN_NETWORKS
from jaxrl_evolve.objectives.families import BUILTIN_FAMILIES, ObjectiveFamily, family_of
from jaxrl_evolve.objectives.kinds import is_builtin
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.foreign import told
from jaxrl_evolve.settings.names import suggestion

Registered = Literal["env", "objective", "objective_family", "network", "algorithm", "curriculum", "proposer"]
"""What a name can be given to."""


def register(kind: Registered, name: str, thing: Any) -> None:
    """Make a name known in this process: configurations, sweeps and run folders hold names, not objects.

    A name may be registered again, and then means the new thing. A stored run can be resumed, loaded and evaluated where
    the names that it was started with are registered, or offered by an installed package's entry points.

    Args:
        kind: ``"env"`` (a factory ``(**options) -> Env``), ``"objective"`` (``() -> Objective``), ``"network"`` (a
            `MakeNetwork`), ``"curriculum"`` (``(env, num_envs, **options) -> Curriculum``), ``"algorithm"`` (an
            `Algorithm`), ``"proposer"`` (``(domain, file, offline) -> Proposer``), or ``"objective_family"`` (an `ObjectiveFamily`, called as its ``kind``).
        name: what it is to be called.
        thing: of that kind.

    Raises:
        ValueError: there is no such kind, the thing is of another, or the name is one of the library's (or, of an objective, one
            that a family has).
    """
    groups = plugins.GROUPS
    if kind not in (allowed := ("env", *groups)):
        raise ValueError(f"kind is {kind!r}, which is not known: {suggestion(str(kind), allowed)}")
    if not isinstance(name, str) or not name:
        raise ValueError(f"name is {name!r}; it must be text")
    wanted = {"algorithm": Algorithm, "objective_family": ObjectiveFamily}.get(kind)
    if not (isinstance(thing, wanted) if wanted else callable(thing)):
        factory = f"an {wanted.__name__}" if wanted else "a function that makes one"
        raise ValueError(f"{kind} {name!r} is {told(thing)}; it must be {factory}")
    if kind == "objective_family" and thing.kind != name:
        raise ValueError(f"name is {name!r}; it must be the family's kind, {thing.kind!r}")
    if _is_ours(kind, name):
        raise ValueError(f"name is {name!r}, which is one of the library's {kind} names; choose another")
    _refuse_taken(kind, name, thing)
    forget_programs()  # which may close over what the name meant before
    if kind == "env":
        registry.register(name, thing, replace=True)
    else:
        plugins.add(groups[kind], name, thing)


def _refuse_taken(kind: str, name: str, thing: Any) -> None:
    """One name, one objective: that of `meta-train` is that of ``--objective``."""
    if kind == "objective" and (family := family_of(name)):
        raise ValueError(
            f"name is {name!r}, which is that of an objective of family {family.kind!r}; choose another"
        )
    for member in thing.members if kind == "objective_family" else ():
        family = family_of(member)
        others = family is not None and family.kind != name
        if others or is_builtin(member) or member in plugins.added(plugins.OBJECTIVES):
            raise ValueError(
                f"members of family {name!r} has {member!r}, which is taken; choose another name"
            )


def _is_ours(kind: str, name: str) -> bool:
    tables = {
        "algorithm": BUILTIN_ALGORITHMS,
        "curriculum": BUILTIN_CURRICULA,
        "network": BUILTIN_NETWORKS,
        "objective_family": BUILTIN_FAMILIES,
    }
    return is_builtin(name) if kind == "objective" else name in tables.get(kind, ())
