"""The curricula that `train` knows by name, and how another package adds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jaxrl_evolve.curricula.arms.names import ARM_CURRICULA
from jaxrl_evolve.curricula.levels.names import LEVEL_CURRICULA
from jaxrl_evolve.settings import plugins
from jaxrl_evolve.settings.foreign import Refused, called, told
from jaxrl_evolve.settings.later import later

if TYPE_CHECKING:
    from jaxrl_envs.contract import Env
    from jaxrl_evolve.runs.tasks import Curriculum

BUILTIN_CURRICULA: dict[str, Callable[..., Curriculum]] = {
    "random": later("curricula.domain_randomisation", "domain_randomisation"),
    **ARM_CURRICULA,
    **LEVEL_CURRICULA,
}
"""Functions ``(env, num_envs, **options) -> Curriculum``."""


def make_curriculum(name: str, env: Env, num_envs: int, options: Mapping[str, Any]) -> Curriculum:
    """The curriculum called ``name``, built in or from an installed package.

    Args:
        name: its name.
        env: whose tasks it chooses.
        num_envs: slots that it chooses for.
        options: its own.

    Raises:
        ValueError: none is called so (the message gives near matches), it does not take the options, it cannot
            choose for this environment, or its factory gives something that is none.
    """
    from jaxrl_evolve.runs.tasks import Curriculum  # not above: names are listed without jax

    factory = plugins.find(plugins.CURRICULA, name, BUILTIN_CURRICULA)
    saying = (ValueError, TypeError) if options else (ValueError,)
    what = f"curriculum {name!r}: its factory"
    try:
        made = called(what, lambda: factory(env, num_envs, **options), saying=saying)
    except TypeError as error:
        raise ValueError(
            f"curriculum_options is {dict(options)}, which {name} does not take: {error}"
        ) from None
    if not isinstance(made, Curriculum):
        raise Refused(f"{what} gave {told(made)}; it must be a Curriculum")
    return made


def curriculum_names() -> list[str]:
    """The names that `make_curriculum` knows, sorted."""
    return plugins.names(plugins.CURRICULA, BUILTIN_CURRICULA)
