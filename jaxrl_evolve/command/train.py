"""`jaxrl-evolve train`."""

from __future__ import annotations

from typing import Any

from jaxrl_evolve.command.arguments import Command, asks_for_help, option, parse_run
from jaxrl_evolve.command.start import start


def parse_settings(command: str, words: list[str], *extra: tuple[str, Any, Any]) -> Any:
    """Parse ``ALGORITHM`` and the settings of a run, whose defaults are the environment's preset.

    Args:
        command: the subcommand.
        words: what follows it.
        extra: as in `parse_run`.

    Raises:
        ValueError: the algorithm or the environment is missing, or not known.
    """
    from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
    from jaxrl_evolve.settings import plugins
    from jaxrl_evolve.training.config import TrainConfig

    helping = asks_for_help(words)
    if not words or words[0].startswith("-"):
        if not helping:
            algorithms = "|".join(plugins.names(plugins.ALGORITHMS, BUILTIN_ALGORITHMS))
            raise ValueError(f"{command} needs an algorithm: {command} {algorithms} --env NAME --out FOLDER")
        words = ["ppo", *words]
    algorithm = find_algorithm(words[0])
    env = option(words, "--env")
    if env is None and not helping:
        raise ValueError(f"{command} needs an environment: --env NAME (`jaxrl-evolve list` names all)")
    cls = TrainConfig[algorithm.config, algorithm.hp]
    default = TrainConfig.preset(words[0], env or "CartPole-v1")
    return parse_run(command, words, cls, default, algorithm.summary, *extra)


def _run(arguments: Any) -> str:
    from jaxrl_evolve.training.outcome import sentence
    from jaxrl_evolve.training.train import train

    start(arguments.devices)
    to = arguments.output
    result = train(arguments.config, to.out, resume=to.resume, overwrite=to.overwrite, quiet=to.quiet)
    return "" if to.quiet else sentence(result.summary, to.out)


COMMAND = Command(
    usage="train ALGORITHM --env NAME --out FOLDER",
    summary="train every seed side by side",
    parse=lambda words: parse_settings("train", words),
    run=_run,
)
