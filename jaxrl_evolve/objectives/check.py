"""Whether a learner reads the objective that it was given, and what is wrong with one of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jaxrl_evolve.objectives.objective import AnyObjective, RuleObjective, TargetObjective
from jaxrl_evolve.settings.foreign import Refused, called, told
from jaxrl_evolve.settings.rows import is_taken

RESERVED = ("loss", "grad_norm", "learning_rate", "explained_variance")
"""Metrics that are the learner's."""


def is_the_learners(name: str) -> bool:
    """Whether a metric's name is the learner's or the library's, and no objective's."""
    return name in RESERVED or is_taken(name)


def watched(objective: AnyObjective) -> tuple[AnyObjective, list[str]]:
    """The same objective, for one abstract evaluation of a learner: it says what is wrong with its loss, and takes down
    which of its functions were called.

    Args:
        objective: to be watched.

    Returns:
        The objective, and the list that the names of called functions are added to.
    """
    seen: list[str] = []
    who = f"objective {objective.name!r}"

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            seen.append(name)
            return called(f"{who}: {name}", function, *arguments, saying=(Refused,))

        return call

    if isinstance(objective, RuleObjective):
        parts = getattr(objective.rule, "_asdict", dict)()
        functions = {name: noted(name, part) for name, part in parts.items() if callable(part)}
        if not functions:  # a rule of unknown form, of which nobody can say whether it is read
            seen.append("rule")
            return objective, seen
        return objective._replace(rule=objective.rule._replace(**functions)), seen

    minimised = noted("loss", objective.loss)

    def loss(*arguments: Any) -> Any:
        given = minimised(*arguments)
        check_loss(who, given)
        return given

    if isinstance(objective, TargetObjective):
        return objective._replace(loss=loss, targets=noted("targets", objective.targets)), seen
    return objective._replace(loss=loss), seen


def pair(what: str, given: Any, loss: str = "a float32 scalar") -> tuple[Any, Any]:
    """Loss and metrics, as a loss or a surrogate must give them.

    Args:
        what: the function in messages.
        given: what it gave.
        loss: what the first of them is.

    Raises:
        ValueError: they are not two.
    """
    if not isinstance(given, tuple) or len(given) != 2:
        many = f"a tuple of {len(given)}" if isinstance(given, tuple) else told(given)
        raise Refused(
            f"{what} gives {many}; it must be the pair (loss, metrics), {loss} and a dict of float32 scalars"
        )
    return given


def check_loss(who: str, given: Any) -> None:
    """Refuse what a loss must not give.

    Args:
        who: the objective in messages.
        given: loss and metrics.

    Raises:
        ValueError: they are no float32 scalars, or a metric's name is taken.
    """
    total, metrics = pair(f"{who}: loss", given)
    if told(total) != "float32[]":
        raise Refused(f"{who}: loss gives {told(total)}; it must be a float32 scalar")
    check_metrics(f"{who}: loss", metrics, is_the_learners)


def check_metrics(what: str, metrics: Any, taken: Callable[[str], bool] = lambda name: False) -> None:
    """Refuse what are not float32 scalars by names that are free.

    Raises:
        ValueError: naming the metric.
    """
    if not isinstance(metrics, Mapping):
        raise Refused(f"{what} gives metrics as {told(metrics)}; they must be a dict of float32 scalars")
    for name, value in metrics.items():
        if not isinstance(name, str) or taken(name):
            raise Refused(f"{what} gives a metric called {name!r}, a name that is taken; call it otherwise")
        if not name or not name.isprintable() or any(x.isspace() or x in ',"' for x in name):
            raise Refused(
                f"{what} gives a metric called {name!r}; a name must not be empty and have no spaces, commas or quotes, which tables are made of"
            )
        if told(value) != "float32[]":
            raise Refused(f"{what} gives the metric {name!r} as {told(value)}; it must be a float32 scalar")
