"""`jaxrl-evolve meta-sweep`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import tyro

from jaxrl_evolve.command.arguments import Command
from jaxrl_evolve.command.meta_train import parse_meta_settings
from jaxrl_evolve.command.request import or_dump
from jaxrl_evolve.command.start import start


@dataclasses.dataclass(frozen=True)
class Space:
    """What a sweep of meta-trainings varies."""

    seeds: int = 5
    """Meta-seeds: meta-trainings of every point, whose seeds count up from --seed."""
    grid: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=V1,V2,…")] = ()
    """Fields and their values, every combination: `--grid evolution.sigma=0.03,0.1 horizons.high=100,250`."""


def _run(arguments: Any) -> str:
    from jaxrl_evolve.meta.sweep import meta_sweep
    from jaxrl_evolve.results.ranking import placed

    start(arguments.devices, shared=True)
    to, space = arguments.output, arguments.space
    table = meta_sweep(
        arguments.config,
        to.out,
        seeds=space.seeds,
        grid=space.grid,
        resume=to.resume,
        overwrite=to.overwrite,
        quiet=to.quiet,
    )
    return "" if to.quiet else placed(table, to.out)


COMMAND = Command(
    usage="meta-sweep OBJECTIVE --out FOLDER",
    summary="meta-train over meta-seeds and a grid of settings",
    parse=lambda words: parse_meta_settings("meta-sweep", words, ("space", Space, Space())),
    run=or_dump(_run),
)
