"""`jaxrl-evolve train`."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxrl_evolve.command.arguments import Command, asks_for_help, option
from jaxrl_evolve.command.request import configuration_in, or_dump, parse_run, same_subject
from jaxrl_evolve.command.start import start


def parse_settings(command: str, words: list[str], *extra: tuple[str, Any, Any]) -> Any:
    """Parse ``ALGORITHM`` and the settings of a run, whose defaults are the environment's preset or a file's.

    Args:
        command: the subcommand.
        words: what follows it.
        extra: as in `parse_run`.

    Raises:
        ValueError: the algorithm or the environment is missing, or not known, or a value is not allowed.
    """
    from jaxrl_evolve.algorithms.table import BUILTIN_ALGORITHMS, find_algorithm
    from jaxrl_evolve.settings import plugins
    from jaxrl_evolve.training.config import TrainConfig

    named = bool(words) and not words[0].startswith("-")
    if file := option(words, "--config"):
        default = configuration_in(file, TrainConfig, "train", "algorithm", words)
        if named:
            same_subject("algorithm", words[0], default.algorithm, file)
        words = words if named else [default.algorithm, *words]
    else:
        helping = asks_for_help(words)
        if not named and not helping:
            algorithms = "|".join(plugins.names(plugins.ALGORITHMS, BUILTIN_ALGORITHMS))
            raise ValueError(f"{command} needs an algorithm: {command} {algorithms} --env NAME --out FOLDER")
        words = words if named else ["ppo", *words]
        find_algorithm(words[0])  # which is missed before an environment is
        env = option(words, "--env")
        if env is None and not helping:
            raise ValueError(f"{command} needs an environment: --env NAME (`jaxrl-evolve list` names all)")
        default = TrainConfig.preset(words[0], env or "CartPole-v1")
    algorithm = find_algorithm(words[0])
    cls = TrainConfig[algorithm.config, algorithm.hp]
    found = parse_run(command, words, cls, default, algorithm.summary, *extra, unread=algorithm.unread)
    return dataclasses.replace(found, config=found.config.unpinned(default))


def _run(arguments: Any) -> str:
    from jaxrl_evolve.command.finished import unless_finished
    from jaxrl_evolve.training.outcome import sentence
    from jaxrl_evolve.training.train import train

    start(arguments.devices, shared=True)
    to = arguments.output
    tell = unless_finished(to.out)
    result = train(arguments.config, to.out, resume=to.resume, overwrite=to.overwrite, quiet=to.quiet)
    return "" if to.quiet else tell(sentence(result.summary, to.out))


COMMAND = Command(
    usage="train ALGORITHM --env NAME --out FOLDER",
    summary="train every seed side by side",
    parse=lambda words: parse_settings("train", words),
    run=or_dump(_run),
)
