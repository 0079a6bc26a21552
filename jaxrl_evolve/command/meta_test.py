"""`jaxrl-evolve meta-test`."""

from __future__ import annotations

from typing import Any

from jaxrl_evolve.command.arguments import Command, option
from jaxrl_evolve.command.request import or_dump, parse_run
from jaxrl_evolve.command.start import start

_DESCRIPTION = "Compare learned objectives with each other, with wrong clocks, and with tuned baselines."


def _parse(words: list[str]) -> Any:
    from jaxrl_evolve.meta_test.config import MetaTestConfig

    file = option(words, "--config")
    default = MetaTestConfig.from_json(file) if file else MetaTestConfig()
    return parse_run("meta-test", ["", *words], MetaTestConfig, default, _DESCRIPTION)


def _run(arguments: Any) -> str:
    from jaxrl_evolve.meta_test.run import meta_test

    start(arguments.devices, shared=True)
    to = arguments.output
    result = meta_test(arguments.config, to.out, resume=to.resume, overwrite=to.overwrite, quiet=to.quiet)
    return "" if to.quiet else result.markdown


COMMAND = Command(
    usage="meta-test --objectives O… --out FOLDER",
    summary="compare learned objectives with each other and with baselines",
    parse=_parse,
    run=or_dump(_run),
)
