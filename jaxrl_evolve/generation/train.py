"""A loop from the host: its folder, its kind, and how it goes on."""

from __future__ import annotations

import contextlib
import os

from jaxrl_evolve.generation.answers import FILE as ANSWERS
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.experiment import build
from jaxrl_evolve.generation.open_ended import OpenEndedRun
from jaxrl_evolve.generation.outcome import ARCHIVE, REPORT, GenerateResult, sentence
from jaxrl_evolve.generation.population import PopulationRun
from jaxrl_evolve.generation.proposers import LEDGER, check_proposer, make_proposer
from jaxrl_evolve.generation.run import Run
from jaxrl_evolve.generation.setting import Setting
from jaxrl_evolve.generation.standing import FOLDER
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.destinations import check_trackers
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.host import open_host


def generate(
    config: GenerateConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    step: int | None = None,
    setting: Setting | None = None,
) -> GenerateResult:
    """Run a loop.

    Args:
        config: which.
        out: run folder to write; None writes nothing.
        resume: go on with what is in ``out``.
        overwrite: replace what is in ``out``, which comes back if this fails before its first row.
        quiet: show no progress.
        step: which checkpoint to resume from, by the number of cycles that were over; the newest by default.
        setting: instead of the one that the environment's name stands for.

    Raises:
        ValueError: the configuration does not fit, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the last whole cycle is saved if there is a folder.
        Diverged: the agent did.
    """
    experiment = build(config, setting)
    check_proposer(config, experiment.setting)
    if out is not None and not resume:
        check_trackers(config.sinks)
    with contextlib.ExitStack() as stack:
        host = open_host(
            stack,
            out,
            GENERATE,
            folders.plain(config),
            identity={"loop": config.loop, "env": config.env},
            indifferent=("sinks", "keep", "chat"),
            keep=config.keep,
            seconds=("compile_seconds", "run_seconds", "propose_seconds"),
            resume=resume,
            overwrite=overwrite,
        )
        place = host.folder.path if host.folder else None
        proposer = make_proposer(config, experiment.setting, place)
        stack.callback(proposer.close)
        kind = (
            OpenEndedRun
            if experiment.loop.specialists
            else PopulationRun
            if experiment.loop.population
            else Run
        )
        run = kind(config, experiment, proposer, host)
        run.prepare(step)
        title = f"{config.loop} on {config.env}"
        host.show(stack, title, run.total, "cycles", done=run.standing.done, measure="success", quiet=quiet)
        while run.standing.done < run.total:
            run.advance()
            if (signal := host.signal()) and run.standing.done < run.total:
                host.wait()
                raise host.interrupted(signal)
        return run.finish()


def _resume(out: str, step: int | None, quiet: bool) -> str:
    result = generate(folders.configuration(out, GENERATE), out, resume=True, quiet=quiet, step=step)
    return sentence(result.summary, out)


GENERATE = Kind(
    name="generate",
    mark=kinds.RUN,
    read=GenerateConfig.from_json,
    resume=_resume,
    files=(*kinds.METRICS_FILES, ARCHIVE, REPORT, ANSWERS, LEDGER),
    folders=f"{kinds.STATE_FOLDERS}|{FOLDER}",
)
"""A loop of generated environments."""
