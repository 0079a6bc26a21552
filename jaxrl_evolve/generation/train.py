"""A loop from the host: propose, validate, train, evaluate, and write down where it stands."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxrl_evolve import random
from jaxrl_evolve.generation import lifecycle
from jaxrl_evolve.generation.answers import FILE as ANSWERS
from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.archive_file import write_archive
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.experiment import LEDGER, Experiment, build, make_proposer, skill_counts
from jaxrl_evolve.generation.feedback import feedback_of
from jaxrl_evolve.generation.mixture import account_of
from jaxrl_evolve.generation.outcome import (
    ARCHIVE,
    REPORT,
    SKILL,
    GenerateResult,
    report,
    sentence,
    summarise,
)
from jaxrl_evolve.generation.proposal import Proposed, Proposer
from jaxrl_evolve.generation.scaffolds import by_hand, faded
from jaxrl_evolve.generation.schedule import evenly, shares
from jaxrl_evolve.generation.seat import SKILLS, stacked
from jaxrl_evolve.generation.setting import Setting
from jaxrl_evolve.generation.skill_file import EPISODES, WON, spec_counts, write_skills
from jaxrl_evolve.generation.standing import FOLDER, NOTES, Standing, read_standing, write_standing
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage import kinds
from jaxrl_evolve.storage.kinds import Kind
from jaxrl_evolve.training.host import Host, open_host
from jaxrl_evolve.training.interrupts import Diverged
from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.programs import to_host

_TOLD = 10  # reasons of rejections that proposers are told

Phase = tuple[dict[str, float], int]
"""Shares of specs by identity, the original first, and updates."""


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
        overwrite: delete what is in ``out`` first.
        quiet: show no progress.
        step: which checkpoint to resume from, by the number of cycles that were over; the newest by default.
        setting: instead of the one that the environment's name stands for.

    Raises:
        ValueError: the configuration does not fit, or the folder can't be used.
        Interrupted: SIGINT or SIGTERM came; the last whole cycle is saved if there is a folder.
        Diverged: the agent did.
    """
    experiment = build(config, setting)
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
        run = _Run(config, experiment, proposer, host)
        run.prepare(step)
        title = f"{config.loop} on {config.env}"
        host.show(stack, title, run.total, "cycles", done=run.standing.done, measure="success", quiet=quiet)
        while run.standing.done < run.total:
            run.advance()
            if (signal := host.signal()) and run.standing.done < run.total:
                host.wait()
                raise host.interrupted(signal)
        return run.finish()


class _Run:
    """The state of one loop and its programs; `generate` is its only user."""

    def __init__(
        self, config: GenerateConfig, experiment: Experiment, proposer: Proposer, host: Host
    ) -> None:
        self.config, self.host, self.proposer = config, host, proposer
        self.setting, self.loop, self.programs = experiment
        self.total = config.cycles + (config.final_updates > 0)
        self.root = random.key(config.seed)
        self.state: Any = None
        self.standing = Standing(lifecycle.new_archive(self.setting.domain, config.archive))

    def prepare(self, step: int | None) -> None:
        """Make or restore the state, and open the sinks."""
        with self.host.timed("compile_seconds"):
            self.state = self.programs.init(jax.random.fold_in(self.root, 0))
        self.state, record = self.host.restore(self.state, step)
        if record is not None and self.host.folder is not None:
            self.standing = read_standing(self.host.folder.path, record["done"])
            self.proposer.restore(self.standing.proposer)
        self.host.open_sinks(self.config.sinks, self.standing.env_steps if record is not None else None)

    def advance(self) -> None:
        """One cycle, or what follows the last."""
        cycle = self.standing.done
        last = cycle >= self.config.cycles
        proposed = Proposed() if last else self._propose(cycle)
        phases = [(self._original(), self.config.final_updates)] if last else self._phases()
        results: dict[str, np.ndarray] = {}
        metrics: dict[str, Any] = {}
        for part, updates in phases:
            if updates:
                metrics = self._play(part, updates, results)
        success = self._learn_of(results, proposed)
        self._write(metrics, proposed, success, results)

    def _original(self) -> dict[str, float]:
        return {self.standing.archive.original.identity: 1.0}

    def _propose(self, cycle: int) -> Proposed:
        """New specs: proposed, validated, taken up."""
        standing, loop, k = self.standing, self.loop, self.config.specs
        if loop.proposes == "never" or (loop.proposes == "once" and cycle):
            return Proposed()
        key = jax.random.fold_in(jax.random.fold_in(self.root, random.KeyTag.PROPOSALS), cycle)
        with self.host.timed("propose_seconds"):
            found = self._found(standing.archive, cycle, k, key)
            validated = self.setting.validate(found.proposals, self.config.seed + cycle)
        invalid = {
            p.identity: (p, v.reasons)
            for p, v in zip(found.proposals, validated.verdicts, strict=True)
            if v.reasons
        }
        good = [p for p in found.proposals if p.identity not in invalid]
        domain = self.setting.domain
        archive = lifecycle.rejected(standing.archive, domain, found.rejections, invalid)
        archive = lifecycle.added(archive, domain, good)
        latest = tuple(p.identity for p in good) or standing.latest
        self.standing = dataclasses.replace(
            standing.with_steps(validation=validated.steps, proposing=found.steps),
            archive=archive,
            latest=latest,
            proposer=self.proposer.state(),
            notes=(*standing.notes, *(f"cycle {cycle}: {note}" for note in found.notes))[-NOTES:],
        )
        for note in found.notes:
            self.host.say(f"cycle {cycle}: {note}")
        reasons = tuple(reason for _, faults in invalid.values() for reason in faults)
        reasons += tuple(fault for r in found.rejections if r.reason == "invalid" for fault in r.faults)
        return dataclasses.replace(found, proposals=tuple(good), notes=reasons[:_TOLD])

    def _found(self, archive: Archive, cycle: int, k: int, key: Any) -> Proposed:
        domain, loop = self.setting.domain, self.loop
        if loop.by_hand:
            times = self.config.cycles - cycle if loop.by_hand == "grant" else cycle + 1
            return by_hand(domain, archive, loop.by_hand, times, k, key)
        key_faded, key_proposed = jax.random.split(key)
        found = faded(domain, archive, k, key_faded, self.config.offline.easy) if loop.fades else Proposed()
        missing = k - len(found.proposals)
        if not missing:
            return found
        there = lifecycle.added(archive, domain, found.proposals)  # nothing is proposed twice
        return found.and_then(self.proposer.propose(self.standing.feedback, there, missing, key_proposed))

    def _phases(self) -> list[Phase]:
        """What is played in a cycle."""
        loop, archive, updates = self.loop, self.standing.archive, self.config.cycle_updates
        original = self._original()
        if loop.plays == "archive":
            generated = shares(archive, 0.0 if not loop.mixed else 1.0 - loop.generated, loop.order)
        else:
            generated = evenly(original, self.standing.latest, loop.generated if loop.mixed else 1.0)
        if loop.mixed:
            return [(generated, updates)]
        inside = round(loop.generated * updates) if len(generated) > 1 else 0
        return [(generated, inside), (original, updates - inside)]

    def _play(
        self, part: Mapping[str, float], updates: int, results: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Train on specs in these shares; adds rows of `spec_counts` to the results."""
        archive, most = self.standing.archive, self.config.archive.active
        params = stacked([self.setting.encode(archive.entries[i].data) for i in part], most)
        share = np.zeros(most, np.float32)
        share[: len(part)] = list(part.values())
        with self.host.timed("run_seconds"):
            self.state = self.programs.begin(self.state, params, share)
            self.state, metrics = marked(self.programs.advance)(self.state, updates)
            metrics, table = to_host((metrics, self.state.tasks.curriculum.table))
        for identity, row in zip(part, spec_counts(table)[: len(part)], strict=True):
            results[identity] = results.get(identity, 0) + row
        steps = account_of(table).steps
        self.standing = self.standing.with_steps(original=int(steps[0]), generated=int(steps[1:].sum()))
        if int(self.state.diverged) >= 0:
            raise Diverged(f"the agent diverged in cycle {self.standing.done}; what was before it is saved")
        return metrics

    def _learn_of(self, results: Mapping[str, np.ndarray], proposed: Proposed) -> dict[str, Any]:
        """Evaluate in the original, and tell the archive what came of its specs."""
        standing = self.standing
        tag = jax.random.fold_in(self.root, random.KeyTag.EVALUATION)
        with self.host.timed("run_seconds"):
            key = jax.random.fold_in(tag, standing.done)
            played = to_host(marked(self.programs.evaluate)(key, self.state.learner))
        episodes = played.returns.size
        done = skill_counts(self.setting, standing.archive.original.data, (played.info[SKILLS] > 0).sum(0))
        specs = {identity: (int(row[EPISODES]), int(row[WON])) for identity, row in results.items()}
        archive = lifecycle.settled(lifecycle.observed(standing.archive, specs))
        skills = {name: (episodes, won) for name, won in done.items()}
        self.standing = dataclasses.replace(
            standing.with_steps(evaluation=int(played.lengths.sum())),
            archive=archive,
            feedback=feedback_of(skills, specs, standing.feedback, proposed.notes),
            done=standing.done + 1,
        )
        return {
            "success": float((played.info["success"] > 0).mean()),
            "eval_return": float(played.returns.mean()),
            **{f"{SKILL}{name}": won / episodes for name, won in done.items()},
        }

    def _write(
        self,
        metrics: Mapping[str, Any],
        proposed: Proposed,
        success: Mapping[str, Any],
        results: Mapping[str, np.ndarray],
    ) -> None:
        standing, host = self.standing, self.host
        row = {
            "env_steps": standing.env_steps,
            "cycle": standing.done,
            "seconds": host.seconds["run_seconds"],
            "proposed": len(proposed.proposals),
            "refused": len(proposed.rejections),
            "wait_seconds": proposed.seconds,
            "active": len(standing.archive.with_status("active")),
            **{f"{name}_steps": n for name, n in standing.steps.items()},
            **success,
            **metrics,
        }
        host.row(row, standing.env_steps)
        if folder := host.writable:
            # Before the checkpoint: one that counts has where the loop stood.
            specs = {identity: entry.data for identity, entry in standing.archive.entries.items()}
            write_skills(folder.path, standing.done - 1, self.setting, specs, results, standing.feedback)
            write_standing(folder.path, standing, self.config.keep)
        host.save(standing.done, self.state, {"done": standing.done})
        host.advanced(standing.done, success["success"])

    def finish(self) -> GenerateResult:
        """The result, the archive and the page."""
        host, standing = self.host, self.standing
        host.wait()
        summary = summarise(self.config, standing, host.rows, host.seconds) | {
            "language": self.setting.domain.language.name,
            "proposer_cost": dict(self.proposer.cost()),
        }
        if folder := host.writable:
            write_archive(folder.path / ARCHIVE, standing.archive)
            folders.write_text(folder.path / REPORT, report(self.config, standing, host.rows))
        host.result(summary)
        return GenerateResult(self.config, folders.plain(summary), standing, self.state, host.rows)


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
