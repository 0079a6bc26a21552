"""`jaxrl-evolve meta-train`."""

from __future__ import annotations

from typing import Any

from jaxrl_evolve.command.arguments import Command, asks_for_help, option, parse_run
from jaxrl_evolve.command.start import start


def parse_meta_settings(command: str, words: list[str], *extra: tuple[str, Any, Any]) -> Any:
    """Parse ``OBJECTIVE`` and the settings of a meta-training, whose defaults are the objective's preset.

    Args:
        command: the subcommand.
        words: what follows it.
        extra: as in `parse_run`.

    Raises:
        ValueError: the objective or the environment is missing, or the objective not known.
    """
    from jaxrl_evolve.algorithms.table import find_algorithm
    from jaxrl_evolve.meta.config import MetaTrainConfig
    from jaxrl_evolve.objectives.families import find_family, members

    helping = asks_for_help(words)
    if not words or words[0].startswith("-"):
        if not helping:
            raise ValueError(
                f"{command} needs an objective: {command} {'|'.join(members())} --env NAME --out FOLDER"
            )
        words = ["ta-lpg", *words]
    family = find_family(words[0])
    env = option(words, "--env")
    if env is None and not helping:
        raise ValueError(f"{command} needs an environment: --env NAME (`jaxrl-evolve list` names all)")
    algorithm = find_algorithm(family.algorithm)
    cls = MetaTrainConfig[family.settings, algorithm.config, algorithm.hp]
    default = MetaTrainConfig.preset(words[0], env or "grid/random-small")
    return parse_run(command, words, cls, default, f"Meta-train {words[0]}.", *extra)


def _run(arguments: Any) -> str:
    from jaxrl_evolve.meta.outcome import sentence
    from jaxrl_evolve.meta.train import meta_train

    start(arguments.devices)
    to = arguments.output
    result = meta_train(arguments.config, to.out, resume=to.resume, overwrite=to.overwrite, quiet=to.quiet)
    return "" if to.quiet else sentence(result.summary, to.out)


COMMAND = Command(
    usage="meta-train OBJECTIVE --env NAME --out FOLDER",
    summary="improve a learned objective",
    parse=lambda words: parse_meta_settings("meta-train", words),
    run=_run,
)
