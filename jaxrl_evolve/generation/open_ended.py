"""The open-ended loop: a specialist for each interesting spec, kept where it learns it, and where others begin that are near."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.generation import interest
from jaxrl_evolve.generation.archive import Archive, Entry
from jaxrl_evolve.generation.feedback import feedback_of
from jaxrl_evolve.generation.lifecycle import judged
from jaxrl_evolve.generation.proposal import Proposal, Proposed, Rejection, generator
from jaxrl_evolve.generation.run import Phase, Run


class OpenEndedRun(Run):
    """A loop whose archive is its aim.

    Beside the state of the agent that learns now there is a bank of agents ``[1 + cycles, ...]``: the first knows nothing, then one for each
    learned spec, in their order. What is remembered (`Standing.own`): ``bank``, the identities of learned specs; ``unused``, for how many
    cycles each was not shown; ``again``, the spec that failed last, if it is to be changed once; ``annecs`` and ``annecs_novel``.
    """

    bank: Any = None

    def saved(self) -> Any:
        """The agent that learns, and the bank."""
        if self.bank is None:
            rows = 1 + self.config.cycles
            self.bank = jax.tree.map(
                lambda x: jnp.array(jnp.broadcast_to(x, (rows, *x.shape))), self.state.learner
            )
        return {"state": self.state, "bank": self.bank}

    def restored(self, saved: Any) -> None:
        """Take them up."""
        self.state, self.bank = saved["state"], saved["bank"]

    @property
    def learned(self) -> list[Entry]:
        """Learned specs, in their order."""
        return [self.standing.archive.entries[i] for i in self.standing.own.get("bank", ())]

    def _agent(self, entry: Entry | None) -> Any:
        row = 0 if entry is None else 1 + self.standing.own["bank"].index(entry.identity)
        return jax.tree.map(lambda x: jnp.array(x[row]), self.bank)

    def _found(self, archive: Archive, cycle: int, k: int, key: Any) -> Proposed:
        """What is proposed from what was looked up, and is interesting."""
        key_anchor, key_proposed = jax.random.split(key)
        shown, used = self._shown(archive, generator(key_anchor))
        wanted = 1 if self.proposer.scarce else k
        found = self.proposer.propose(self.standing.feedback, shown, wanted, key_proposed)
        new = [p for p in found.proposals if p.identity not in archive.entries]
        there = [p for p in found.proposals if p.identity in archive.entries]
        interesting, refused = self._gate(new)
        self._remember(again="")  # it is tried once, whatever came of it
        if interesting:
            unused = self.standing.own.get("unused", {})
            self._remember(unused={i: 0 if i in used else n + 1 for i, n in unused.items()})
        refused += [Rejection("duplicate", ("it is there already",), p.author) for p in there]
        return dataclasses.replace(
            found, proposals=tuple(interesting), rejections=(*found.rejections, *refused)
        )

    def _shown(self, archive: Archive, rng: np.random.Generator) -> tuple[Archive, set[str]]:
        """The archive as the proposer is shown it, and who is in it."""
        own, most = self.standing.own, self.config.open_ended.examples
        if not most:
            return interest.view(archive, ()), set()
        if again := own.get("again"):
            return interest.view(archive, [archive.entries[again]]), set()
        learned = self.learned
        if not learned:
            return interest.view(archive, ()), set()
        first = interest.anchor(learned, own.get("unused", {}), rng)
        shown = interest.nearest(first.features, learned, most)
        failed = interest.nearest(first.features, archive.with_status("failed"), most)
        return interest.view(archive, shown, failed), {e.identity for e in shown}

    def _gate(self, proposals: list[Proposal]) -> tuple[list[Proposal], list[Rejection]]:
        """Which are interesting: by distance, and by the proposer's judgement where it has one."""
        config, learned = self.config.open_ended, self.learned
        if not config.novelty or not proposals:
            return proposals, []
        good, refused = [], []
        for proposal, new in zip(proposals, self._novel(proposals), strict=True):
            near = interest.nearest(proposal.features, learned, 2 * config.examples or 10)
            judge = self.proposer.judge if config.judge else None
            why = "" if new else "specs like it are learned already"
            if new and judge is not None and near:
                why = judge(proposal, near)
            if why:
                refused.append(Rejection("uninteresting", (why,), proposal.author))
            else:
                good.append(proposal)
        return good, refused

    def _novel(self, ones: list[Any], share: float | None = None) -> list[bool]:
        features = np.asarray([one.features for one in ones], np.float64)
        share = self.config.open_ended.novelty if share is None else share
        learned = interest.features_of(self.learned)
        return interest.novel(features, learned, self.config.archive.neighbours, share).tolist()

    def _chosen(self, good: list[Proposal]) -> list[Proposal]:
        """One in a cycle: the farthest from all that there is."""
        if not good:
            return []
        far = self.standing.archive.distance(np.asarray([p.features for p in good], np.float64))
        return [good[int(np.argmax(far))]]

    def _phases(self, proposed: Proposed) -> list[Phase]:
        """The new spec alone; nothing where there is none."""
        return [({p.identity: 1.0}, self.config.cycle_updates) for p in proposed.proposals]

    def _play(
        self, part: Mapping[str, float], updates: int, results: dict[str, np.ndarray]
    ) -> dict[str, Any]:
        """Train a specialist, which begins as that of the nearest learned spec."""
        (identity,) = part
        near = interest.nearest(self.standing.archive.entries[identity].features, self.learned, 1)
        self.state = dataclasses.replace(
            self.state, learner=self._agent(near[0] if near else None), updates=jnp.int32(0)
        )
        return super()._play(part, updates, results)

    def _learn_of(self, results: Mapping[str, np.ndarray], proposed: Proposed) -> dict[str, Any]:
        """Test the specialist in its spec, and whether those of its neighbours could have done it."""
        config, success = self.config, float("nan")
        for identity in results:
            success = self._tested(identity)
        archive = dataclasses.replace(self.standing.archive, cycle=self.standing.archive.cycle + 1)
        specs = {e.identity: (int(e.episodes), round(e.belief.won)) for e in self.learned}
        feedback = feedback_of({}, specs, self.standing.feedback, proposed.notes)
        self.standing = dataclasses.replace(
            self.standing, archive=archive, feedback=feedback, done=self.standing.done + 1
        )
        own = self.standing.own
        return {
            "success": None if np.isnan(success) else success,
            "learned": len(self.learned),
            "failed": len(archive.with_status("failed")),
            "coverage": interest.cells(self.setting.domain, self.learned),
            "annecs": own.get("annecs", 0),
            "annecs_novel": own.get("annecs_novel", 0),
            "interesting": float(bool(results)) if config.open_ended.novelty else None,
        }

    def _tested(self, identity: str) -> float:
        """The share of episodes in which the new specialist succeeds; it is kept where that is enough."""
        config, standing = self.config.open_ended, self.standing
        entry = standing.archive.entries[identity]
        params = self.setting.encode(entry.data)
        share, won, episodes = self._share(self.state.learner, params)
        good, own = share >= config.solved, dict(self.standing.own)
        if good:
            learned = self.learned
            near = interest.nearest(entry.features, learned, config.earlier)
            solve = [self._share(self._agent(e), params)[0] >= config.solved for e in near]
            hard = sum(solve) <= len(solve) / 2
            # Of the ablation without novelty as well, by the share that the gate has by default.
            new = self._novel([entry], config.novelty or type(config)().novelty)[0]
            own = {
                "bank": [*own.get("bank", ()), identity],
                "unused": {**own.get("unused", {}), identity: 1},
                "again": "",
                "annecs": own.get("annecs", 0) + hard,
                "annecs_novel": own.get("annecs_novel", 0) + (hard and new),
            }
            row = len(own["bank"])
            self.bank = jax.tree.map(lambda x, new: x.at[row].set(new), self.bank, self.state.learner)
        else:
            parents = [standing.archive.entries[i] for i in entry.parents if i in standing.archive.entries]
            # What came of changing a failed one is not changed again.
            own["again"] = "" if any(p.status == "failed" for p in parents) else identity
        self._remember(**own)
        archive = judged(self.standing.archive, identity, episodes, won, learned=good)
        self.standing = dataclasses.replace(self.standing, archive=archive)
        return share

    def _share(self, learner: Any, params: Any) -> tuple[float, int, int]:
        played = self._evaluate(learner, params)
        self.standing = self.standing.with_steps(evaluation=int(played.lengths.sum()))
        won = int((played.info["success"] > 0).sum())
        return won / played.returns.size, won, played.returns.size

    def _remember(self, **more: Any) -> None:
        self.standing = dataclasses.replace(self.standing, own={**self.standing.own, **more})
