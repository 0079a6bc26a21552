"""One loop between two cycles: propose, validate, train, evaluate, and write down where it stands.

`Run` is a loop of one agent. A loop of another kind replaces what it does otherwise (`open_ended.OpenEndedRun`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxrl_evolve import random
from jaxrl_evolve.generation import lifecycle
from jaxrl_evolve.generation.acceptance import doubts_of, mastered, set_aside, trials_of, unproved
from jaxrl_evolve.generation.ahead import ahead_of
from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.archive_file import write_archive
from jaxrl_evolve.generation.belief import Belief
from jaxrl_evolve.generation.config import GenerateConfig
from jaxrl_evolve.generation.experiment import Experiment, skill_counts
from jaxrl_evolve.generation.feedback import feedback_of
from jaxrl_evolve.generation.mixture import account_of
from jaxrl_evolve.generation.mutation import mutated
from jaxrl_evolve.generation.outcome import ARCHIVE, REPORT, SKILL, GenerateResult, report, row_of, summarise
from jaxrl_evolve.generation.proposal import Proposal, Proposed, Proposer
from jaxrl_evolve.generation.scaffolds import by_hand, faded
from jaxrl_evolve.generation.schedule import evenly, shares
from jaxrl_evolve.generation.seat import SKILLS, stacked
from jaxrl_evolve.generation.setting import strange
from jaxrl_evolve.generation.skill_file import EPISODES, WON, spec_counts, write_skills
from jaxrl_evolve.generation.standing import NOTES, Standing, read_standing, write_standing
from jaxrl_evolve.runs.evaluation import Episodes
from jaxrl_evolve.storage import folder as folders
from jaxrl_evolve.storage.sinks import drop_after
from jaxrl_evolve.training.host import Host
from jaxrl_evolve.training.interrupts import Diverged
from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.programs import to_host

_TOLD = 10  # reasons of rejections that proposers are told

Phase = tuple[dict[str, float], int]
"""Shares of specs by identity, the original first, and updates."""


class Run:
    """The state of one loop and its programs."""

    def __init__(
        self, config: GenerateConfig, experiment: Experiment, proposer: Proposer, host: Host
    ) -> None:
        self.config, self.host, self.proposer = config, host, proposer
        self.setting, self.loop, self.programs = experiment
        self.total = config.cycles + (config.final_updates > 0)
        self.root = random.key(config.seed)
        self.ahead = ahead_of(config, self.setting.domain, proposer)
        self.state: Any = None
        self.standing = Standing(lifecycle.new_archive(self.setting.domain, config.archive))

    def prepare(self, step: int | None) -> None:
        """Make or restore the state, and open the sinks."""
        with self.host.timed("compile_seconds"):
            self.state = self.programs.init(jax.random.fold_in(self.root, 0))
        saved, record = self.host.restore(self.saved(), step)
        self.restored(saved)
        if record is not None and self.host.folder is not None:
            self.standing = read_standing(self.host.folder.path, record["done"])
            self.proposer.restore(self.standing.proposer)
            if self.host.writable is not None:
                # A cycle in which nothing was trained has the steps of the one before.
                drop_after(self.host.writable.metrics, "cycle", self.standing.done)
        self.host.open_sinks(self.config.sinks, self.standing.env_steps if record is not None else None)

    def saved(self) -> Any:
        """What a checkpoint holds."""
        return self.state

    def restored(self, saved: Any) -> None:
        """Take up what a checkpoint held."""
        self.state = saved

    def advance(self) -> None:
        """One cycle, or what follows the last."""
        cycle = self.standing.done
        last = cycle >= self.config.cycles
        proposed = Proposed() if last else self._propose(cycle)
        self._begin_ahead(cycle)
        phases = [(self._original(), self.config.final_updates)] if last else self._phases(proposed)
        results: dict[str, np.ndarray] = {}
        metrics: dict[str, Any] = {}
        for part, updates in phases:
            if updates:
                metrics = self._play(part, updates, results)
        success = self._learn_of(results, proposed)
        waited, failed = self._end_ahead(cycle)
        proposed = dataclasses.replace(proposed, seconds=proposed.seconds + waited)
        self._write(metrics, proposed, success, results)
        if failed is not None:
            self.host.wait()
            raise failed

    def _key(self, cycle: int) -> Any:
        return jax.random.fold_in(jax.random.fold_in(self.root, random.KeyTag.PROPOSALS), cycle)

    def _asks_ahead(self, cycle: int) -> bool:
        return self.ahead is not None and self.loop.proposes == "each" and cycle + 1 < self.config.cycles

    def _begin_ahead(self, cycle: int) -> None:
        """Ask for the specs of the next cycle by what is known now, before this one is trained."""
        if self.ahead is not None and self._asks_ahead(cycle):
            key = jax.random.fold_in(self._key(cycle + 1), 1)
            self.ahead.begin(self.standing.feedback, self.standing.archive, self.config.specs, key)

    def _end_ahead(self, cycle: int) -> tuple[float, Exception | None]:
        """Write down what came meanwhile; the seconds that were waited, and what the proposer failed with."""
        if self.ahead is None or not self._asks_ahead(cycle):
            return 0.0, None
        key, before = jax.random.fold_in(self._key(cycle + 1), 2), self.host.seconds["propose_seconds"]
        with self.host.timed("propose_seconds"):
            self.standing, failed = self.ahead.written(self.standing, self.config.specs, key)
        return self.host.seconds["propose_seconds"] - before, failed

    def _original(self) -> dict[str, float]:
        return {self.standing.archive.original.identity: 1.0}

    def _propose(self, cycle: int) -> Proposed:
        """New specs: proposed, validated, taken up."""
        standing, loop, k = self.standing, self.loop, self.config.specs
        if loop.proposes == "never" or (loop.proposes == "once" and cycle):
            return Proposed()
        key = self._key(cycle)
        with self.host.timed("propose_seconds"):
            found = self._found(standing.archive, cycle, k, key).new(standing.archive)
            validated = self.setting.validate(found.proposals, self.config.seed + cycle)
        invalid = {
            p.identity: (p, v.reasons)
            for p, v in zip(found.proposals, validated.verdicts, strict=True)
            if v.reasons
        }
        held = [p for p in found.proposals if p.identity not in invalid]
        trials, tried = self._tried(held)
        if trials:
            invalid |= mastered(held, trials, self.config.archive.mastery)
        good = self._chosen([p for p in held if p.identity not in invalid])
        archive = lifecycle.rejected(standing.archive, self.setting.domain, found.rejections, invalid)
        archive = set_aside(lifecycle.added(archive, self.setting.domain, good, trials), trials)
        with self.host.timed("propose_seconds"):
            doubts, looked = doubts_of(good, trials, self.setting, self.config, cycle)
        archive = unproved(archive, doubts)
        strangers = [] if loop.specialists else strange(self.setting, good)
        # Cycles are counted from 1 wherever one reads of them, as in rows.
        notes = [f"cycle {cycle + 1}: {note}" for note in (*found.notes, *strangers)]
        active = [p.identity for p in good if archive.entries[p.identity].status == "active"]
        self.standing = dataclasses.replace(
            standing.with_steps(validation=validated.steps + tried + looked, proposing=found.steps),
            archive=archive,
            latest=tuple(active) or standing.latest,
            proposer=self.ahead.state(standing.proposer) if self.ahead else self.proposer.state(),
            notes=(*standing.notes, *notes)[-NOTES:],
        )
        for note in notes:
            self.host.say(note)
        reasons = tuple(reason for _, faults in (invalid | doubts).values() for reason in faults)
        reasons += tuple(fault for r in found.rejections if r.reason == "invalid" for fault in r.faults)
        return dataclasses.replace(found, proposals=tuple(good), notes=reasons[:_TOLD])

    def _tried(self, proposals: list[Proposal]) -> tuple[dict[str, Belief], int]:
        """Episodes of the agent in each, and the steps that they took; none where specs are taken in without."""
        if not self.config.acceptance:
            return {}, 0
        key, agent = jax.random.fold_in(self._key(self.standing.done), 3), self.state.learner
        play = lambda data: to_host(marked(self.programs.trial)(key, agent, self.setting.encode(data)))
        with self.host.timed("run_seconds"):
            return trials_of(proposals, play)

    def _chosen(self, good: list[Proposal]) -> list[Proposal]:
        """Which of the proposals that hold are taken up."""
        return good

    def _found(self, archive: Archive, cycle: int, k: int, key: Any) -> Proposed:
        domain, loop = self.setting.domain, self.loop
        if loop.by_hand:
            times = self.config.cycles - cycle if loop.by_hand == "grant" else cycle + 1
            return by_hand(domain, archive, loop.by_hand, times, k, key)
        if loop.mutates:
            return mutated(domain, archive, k, key)
        key_faded, key_proposed = jax.random.split(key)
        found = faded(domain, archive, k, key_faded, self.config.offline.easy) if loop.fades else Proposed()
        missing = k - len(found.proposals)
        if not missing:
            return found
        there = lifecycle.added(archive, domain, found.proposals)  # nothing is proposed twice
        feedback, came = self.standing.feedback, self.standing.own.get("came")
        if self.ahead is not None and came is not None:
            return found.and_then(self.ahead.taken(came, feedback, there, missing, key_proposed))
        return found.and_then(self.proposer.propose(feedback, there, missing, key_proposed))

    def _phases(self, proposed: Proposed) -> list[Phase]:
        """What is played in a cycle."""
        del proposed
        loop, archive, updates = self.loop, self.standing.archive, self.config.cycle_updates
        original = self._original()
        if loop.plays == "family":  # a curriculum chooses what is not the original's share
            return [({next(iter(original)): 1.0 - loop.generated}, updates)]
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
        for identity, row in zip(part, spec_counts(table), strict=False):
            results[identity] = results.get(identity, 0) + row
        steps = account_of(table).steps
        original = int(sum(n for n, i in zip(steps, part, strict=False) if i == archive.original.identity))
        more = {"original": original, "generated": int(steps.sum()) - original}
        self.standing = self.standing.with_steps(scoring=updates * self.programs.scoring, **more)
        if int(self.state.diverged) >= 0:
            cycle = self.standing.done + 1
            raise Diverged(f"the agent diverged in cycle {cycle}; what was before it is saved")
        return metrics

    def _evaluate(self, learner: Any, params: Any, contest: int = 0) -> Episodes:
        """Episodes of an agent in one spec; the same starts for all agents of a cycle, others in another contest."""
        tag = jax.random.fold_in(self.root, random.KeyTag.EVALUATION)
        with self.host.timed("run_seconds"):
            key = jax.random.fold_in(tag, self.standing.done)
            key = jax.random.fold_in(key, contest) if contest else key
            return to_host(marked(self.programs.evaluate)(key, learner, params))

    def _learn_of(self, results: Mapping[str, np.ndarray], proposed: Proposed) -> dict[str, Any]:
        """Evaluate in the original, and tell the archive what came of its specs."""
        standing, played = self.standing, self._evaluate(self.state.learner, self.setting.env.params)
        episodes = played.returns.size
        done = skill_counts(
            self.setting, standing.archive.original.data, np.asarray(played.info[SKILLS] > 0).sum(0)
        )
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
        told = row_of(standing, host.seconds["run_seconds"], proposed)
        host.row({**told, **success, **metrics}, standing.env_steps)
        if folder := host.writable:
            # Before the checkpoint: one that counts has where the loop stood. The page has the notes that a person waits for.
            write_skills(folder.path, standing, self.setting, results, success["success"])
            write_standing(folder.path, standing, self.config.keep)
            folders.write_text(folder.path / REPORT, report(self.config, standing, host.rows))
        host.save(standing.done, self.saved(), {"done": standing.done})
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
