"""Proposing beside training: asked for at the start of a phase, taken up at the end of it."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import replace

from jaxtyping import Array

from jaxrl_evolve.generation.archive import Archive
from jaxrl_evolve.generation.candidates import filled_up
from jaxrl_evolve.generation.feedback import Feedback
from jaxrl_evolve.generation.proposal import Proposed, Proposer


class Background:
    """A proposer in a thread of its own. What comes late is taken up at the end of a later phase.

    Attributes:
        proposer: who proposes.
        offline: who fills up where nothing has come.
    """

    def __init__(self, proposer: Proposer, offline: Proposer) -> None:
        self.proposer, self.offline = proposer, offline
        self._box: queue.SimpleQueue[Proposed | BaseException] = queue.SimpleQueue()
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether something was asked for that has not been taken up."""
        return self._busy

    def begin(self, feedback: Feedback, archive: Archive, k: int, key: Array) -> None:
        """Ask for specs, unless an earlier answer is still waited for."""
        if self._busy:
            return
        self._busy = True

        def work() -> None:
            try:
                self._box.put(self.proposer.propose(feedback, archive, k, key))
            except BaseException as error:  # it is raised where the answer is taken up
                self._box.put(error)

        threading.Thread(target=work, daemon=True, name="jaxrl_evolve-propose").start()

    def adopt(
        self, feedback: Feedback, archive: Archive, k: int, key: Array, seconds: float | None = None
    ) -> Proposed:
        """What came, filled up from the offline proposer.

        Args:
            feedback: how the agent does by now.
            archive: what there is by now; what is in it already is left out.
            k: how many specs are wanted.
            key: for the offline proposer.
            seconds: to wait, at most; None waits for as long as it takes, so that what is replayed is taken up in the same phase.

        Raises:
            Exception: what the proposer failed with.
        """
        began = time.monotonic()
        try:
            came = self._box.get(timeout=seconds) if self._busy else Proposed()
        except queue.Empty:
            late = f"the proposer {self.proposer.name} is not ready: what it proposes is taken up later"
            found = filled_up(Proposed(notes=(late,)), self.offline, feedback, archive, k, key)
            return replace(found, seconds=time.monotonic() - began)
        waited = time.monotonic() - began
        self._busy = False
        if isinstance(came, BaseException):
            raise came
        new = tuple(p for p in came.proposals if p.identity not in archive.entries)[:k]
        found = filled_up(replace(came, proposals=new), self.offline, feedback, archive, k, key)
        return replace(found, seconds=waited)
