"""`jaxrl-evolve generate`."""

from __future__ import annotations

from typing import Any

from jaxrl_evolve.command.arguments import PROGRAM, Command, option
from jaxrl_evolve.command.request import or_dump, parse_run
from jaxrl_evolve.command.start import start

_DESCRIPTION = (
    "Train an agent in environments that are generated as it learns, and in the one that they are generated for. "
    "Without further options the offline proposer proposes, which needs no network. "
    f"For example: {PROGRAM} generate --loop dicode --cycles 4 --out runs/generated"
)


def _parse(words: list[str]) -> Any:
    from jaxrl_evolve.generation.config import GenerateConfig

    file = option(words, "--config")
    default = GenerateConfig.from_json(file) if file else GenerateConfig()
    return parse_run("generate", ["", *words], GenerateConfig, default, _DESCRIPTION)


def _run(arguments: Any) -> str:
    from jaxrl_evolve.generation.outcome import sentence
    from jaxrl_evolve.generation.train import generate

    start(arguments.devices)
    to = arguments.output
    result = generate(arguments.config, to.out, resume=to.resume, overwrite=to.overwrite, quiet=to.quiet)
    return "" if to.quiet else sentence(result.summary, to.out)


COMMAND = Command(
    usage="generate --loop LOOP --out FOLDER",
    summary="train in environments that are generated as the agent learns",
    parse=_parse,
    run=or_dump(_run),
)
