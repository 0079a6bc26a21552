"""A population of agents with their own thresholds of what is worth playing, after XLand (Open-Ended Learning Team 2021, arXiv 2107.12808).

All are offered the same specs. Each plays those in which it succeeds neither too seldom nor too often, as its two thresholds say, beside the
original. After a cycle the worst become copies of the best with other thresholds (population-based training, Jaderberg et al. 2017, arXiv
1711.09846). Fitness is the share of episodes in the original that succeed: XLand's percentiles over many held-out tasks have no place where
one original counts. The agents follow each other in the same programs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl_evolve.curricula.statistics import SUCCESS
from jaxrl_evolve.generation.acceptance import trials_of
from jaxrl_evolve.generation.population_config import PopulationConfig
from jaxrl_evolve.generation.proposal import Proposed, generator
from jaxrl_evolve.generation.run import Run
from jaxrl_evolve.generation.schedule import evenly
from jaxrl_evolve.training.marks import marked
from jaxrl_evolve.training.programs import to_host

Thresholds = list[list[float]]
"""Lower and upper, of each agent."""


def first_thresholds(config: PopulationConfig, rng: np.random.Generator) -> Thresholds:
    """Drawn evenly: the lower ones from 0 to `PopulationConfig.low`, the upper ones from `PopulationConfig.high` to 1."""
    low = rng.uniform(0.0, config.low, config.members)
    high = rng.uniform(config.high, 1.0, config.members)
    return [[round(float(a), 6), round(float(b), 6)] for a, b in zip(low, high, strict=True)]


def succession(fitness: list[float], share: float, rng: np.random.Generator) -> dict[int, int]:
    """Who becomes a copy of whom: of the worst each of one of as many best; nobody of one that is not better."""
    order = [int(i) for i in np.argsort(fitness, kind="stable")]
    count = min(max(1, int(share * len(order))), len(order) // 2) if share else 0
    chosen = {worst: order[-1 - int(rng.integers(count))] for worst in order[:count]}
    return {worst: best for worst, best in chosen.items() if fitness[best] > fitness[worst]}


def perturbed(pair: list[float], factor: float, rng: np.random.Generator) -> list[float]:
    """Each threshold multiplied or divided by the factor, the lower kept from 0.001 to half of the upper, the upper at 1 at most."""
    low, high = (x * factor ** int(rng.choice((-1, 1))) for x in pair)
    high = min(max(high, 0.05), 1.0)
    return [round(min(max(low, 0.001), high / 2), 6), round(high, 6)]


class PopulationRun(Run):
    """A loop of several agents. `Standing.own` has their ``thresholds``, and what each ``accepted`` last."""

    members: list[Any] | None = None

    def saved(self) -> Any:
        """All agents."""
        if self.members is None:
            keys = jax.random.split(jax.random.fold_in(self.root, 0), self.config.population.members)
            self.members = [self.programs.init(key) for key in keys]
        return {str(i): member for i, member in enumerate(self.members)}

    def restored(self, saved: Any) -> None:
        """Take them up."""
        self.members = [saved[str(i)] for i in range(len(saved))]

    def advance(self) -> None:
        """One cycle of all agents, or what follows the last."""
        assert self.members is not None
        cycle, config = self.standing.done, self.config.population
        last = cycle >= self.config.cycles
        rng = generator(jax.random.fold_in(self._key(cycle), 4))
        thresholds = self.standing.own.get("thresholds") or first_thresholds(config, rng)
        proposed = Proposed() if last else self._propose(cycle)
        fitness, accepted = [], []
        results: dict[str, np.ndarray] = {}
        metrics: dict[str, Any] = {}
        for i in range(len(self.members)):
            self.state = self.members[i]
            mine = [] if last else self._accepted(i, proposed, thresholds[i])
            part = evenly(self._original(), mine, self.loop.generated)
            updates = self.config.final_updates if last else self.config.cycle_updates
            metrics = self._play(part, updates, results)
            self.members[i] = self.state
            accepted.append(mine)
            fitness.append(self._fitness())
        best = int(np.argmax(fitness))
        self.state = self.members[best]
        low, high = thresholds[best]
        own = {"thresholds": self._succeed(fitness, thresholds, accepted, rng), "accepted": accepted}
        self.standing = dataclasses.replace(self.standing, own={**self.standing.own, **own})
        more = {
            "population_success": float(np.mean(fitness)),
            "accepted": float(np.mean([len(mine) for mine in accepted])),
            "threshold_low": low,
            "threshold_high": high,
        }
        self._write(metrics, proposed, {**self._learn_of(results, proposed), **more}, results)

    def _accepted(self, i: int, proposed: Proposed, thresholds: list[float]) -> list[str]:
        """Of what is new and what the agent played last, what lies between its thresholds."""
        entries, most = self.standing.archive.entries, self.config.archive.active - 1
        before = self.standing.own.get("accepted", [[]] * self.config.population.members)[i]
        offered = list(dict.fromkeys([*(p.identity for p in proposed.proposals), *before]))[:most]
        key = jax.random.fold_in(jax.random.fold_in(self._key(self.standing.done), 5), i)
        play = lambda data: to_host(
            marked(self.programs.trial)(key, self.state.learner, self.setting.encode(data))
        )
        trials, steps = trials_of([entries[identity] for identity in offered], play)
        self.standing = self.standing.with_steps(validation=steps)
        low, high = thresholds
        share = {identity: trial.won / trial.episodes for identity, trial in trials.items()}
        return [identity for identity in offered if low <= share[identity] <= high]

    def _fitness(self) -> float:
        # Other episodes than those that are told of: the best of several is flattered by those that it was chosen by.
        played = self._evaluate(self.state.learner, self.setting.env.params, contest=1)
        self.standing = self.standing.with_steps(evaluation=int(played.lengths.sum()))
        return float((played.info[SUCCESS] > 0).mean())

    def _succeed(
        self,
        fitness: list[float],
        thresholds: Thresholds,
        accepted: list[list[str]],
        rng: np.random.Generator,
    ) -> Thresholds:
        """Copies in place of the worst; the thresholds from then on."""
        assert self.members is not None
        config, found = self.config.population, [list(pair) for pair in thresholds]
        for worst, best in succession(fitness, config.replaced, rng).items():
            learner = jax.tree.map(jnp.copy, self.members[best].learner)
            self.members[worst] = dataclasses.replace(self.members[worst], learner=learner)
            found[worst] = perturbed(thresholds[best], config.factor, rng)
            accepted[worst] = list(accepted[best])
        return found
