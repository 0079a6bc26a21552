"""`jaxrl-evolve meta-train`."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxrl_evolve.command.arguments import PROGRAM, Command, asks_for_help, option
from jaxrl_evolve.command.request import configuration_in, or_dump, parse_run, same_subject
from jaxrl_evolve.command.start import start


def parse_meta_settings(command: str, words: list[str], *extra: tuple[str, Any, Any]) -> Any:
    """Parse ``OBJECTIVE`` and the settings of a meta-training, whose defaults are the objective's preset or a file's.

    Args:
        command: the subcommand.
        words: what follows it.
        extra: as in `parse_run`.

    Raises:
        ValueError: the objective or the environment is missing, or the objective not known, or a value is not allowed.
    """
    from jaxrl_evolve.algorithms.table import find_algorithm
    from jaxrl_evolve.meta.config import MetaTrainConfig
    from jaxrl_evolve.meta.estimators import ESTIMATORS
    from jaxrl_evolve.objectives.families import find_family, members

    words = _renamed(words)
    named = bool(words) and not words[0].startswith("-")
    if file := option(words, "--config"):
        default = configuration_in(file, MetaTrainConfig, "meta-train", "objective", words)
        if named:
            same_subject("objective", words[0], default.objective, file)
        words = words if named else [default.objective, *words]
    else:
        helping = asks_for_help(words)
        if not named:
            if helping:
                print(_overview(command))
                raise SystemExit(0)
            raise ValueError(
                f"{command} needs an objective: {command} {'|'.join(members())} --env NAME --out FOLDER"
            )
        env = option(words, "--env") or find_family(words[0]).env
        if not env and not helping:
            raise ValueError(f"{command} needs an environment: --env NAME (`jaxrl-evolve list` names all)")
        default = MetaTrainConfig.preset(words[0], env or "grid/random-small")
        if not env:  # help, which shows no default where there is none
            default = dataclasses.replace(default, env="")
    family = find_family(words[0])
    algorithm = find_algorithm(family.algorithm)
    cls = MetaTrainConfig[family.settings, algorithm.config, algorithm.hp]
    # A name that is none is left to the parser, which says so.
    method = ESTIMATORS.get(option(words, "--estimator") or "", default.method)
    unread = (
        *(name for name in algorithm.unread if name.startswith(("learner.", "hp."))),
        *method.ignores,
        *(
            f"settings.{name}"
            for name in (family.of_gradients if method.differentiates else family.of_evolution)
        ),
        *(["settings.time.horizons"] if hasattr(default.settings, "time") else []),
    )
    where = f"on {family.env} if --env names no other" if family.env else "where --env says"
    summary = f"Meta-train {words[0]}, {where}. Options are those of --estimator {method.name}."
    return parse_run(command, words, cls, default, summary, *extra, unread=unread)


def _overview(command: str) -> str:
    """What can be meta-trained, for whoever asks without naming an objective."""
    from jaxrl_evolve.objectives.families import find_family, members

    lines = []
    for name in members():
        family = find_family(name)
        lines.append(f"  {name:18} {family.algorithm:18} {family.env or '--env NAME'}")
    return "\n".join(
        [
            *(f"usage: {PROGRAM} {command} OBJECTIVE [--env NAME] --out FOLDER …", ""),
            *(f"  {'objective':18} {'its agents':18} environment", *lines, ""),
            f"{PROGRAM} {command} OBJECTIVE --help explains the options of one.",
        ]
    )


def _renamed(words: list[str]) -> list[str]:
    """Words with today's names of fields that the command once called otherwise than Python does."""
    from jaxrl_evolve.curricula.buffer_config import BufferConfig
    from jaxrl_evolve.meta.evolution_config import EvolutionConfig

    of = {f"--{field.name}": "--evolution." for field in dataclasses.fields(EvolutionConfig)}
    of |= {f"--levels.{field.name}": "--levels.buffer." for field in dataclasses.fields(BufferConfig)}

    def renamed(word: str) -> str:
        name = word.partition("=")[0].replace("-", "_").replace("__", "--", 1)
        return of[name] + word.rpartition("--")[2].removeprefix("levels.") if name in of else word

    return [renamed(word) for word in words]


def _run(arguments: Any) -> str:
    from jaxrl_evolve.meta.outcome import sentence
    from jaxrl_evolve.meta.train import meta_train

    start(arguments.devices, shared=True)
    to = arguments.output
    result = meta_train(arguments.config, to.out, resume=to.resume, overwrite=to.overwrite, quiet=to.quiet)
    return "" if to.quiet else sentence(result.summary, to.out)


COMMAND = Command(
    usage="meta-train OBJECTIVE --out FOLDER",
    summary="improve a learned objective",
    parse=lambda words: parse_meta_settings("meta-train", words),
    run=or_dump(_run),
)
