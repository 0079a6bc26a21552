"""Several processes of the command: whichever is signalled or dies, at whatever moment, all end soon, with a sentence each."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from processes import Process, Start, address, ended, needs_an_address, starting

from jaxrl_evolve.training.interrupts import EXIT_CODES

SECONDS = 30
LOST = "jaxrl-evolve: another process of this run ended before its work was done, so this one ends too;"
LATE = "jaxrl-evolve: (of [24] processes, those with|the first process did not answer)"
WORDS = {
    "ppo": """train ppo --env CartPole-v1 --steps 3_000_000 --num-envs 4 --rollout-length 16 --seeds 4
        --checkpoints 2000 --rows 2000""",
    "dqn": """train dqn --env CartPole-v1 --steps 3_000_000 --num-envs 4 --rollout-length 16 --seeds 4
        --checkpoints 2000 --rows 2000 --learner.capacity 4096 --learner.warm-up 64""",
    "sweep": """sweep ppo --env CartPole-v1 --steps 3_000_000 --num-envs 4 --rollout-length 16 --seeds 2
        --checkpoints 2000 --rows 2000 --grid hp.gamma=0.9,0.99 num_envs=4,8""",
    "meta-test": f"""meta-test --envs chain/delayed-short --horizons {" ".join(map(str, range(400, 440)))} --seeds 4
        --episodes 8 --max-steps 40 --baselines random ppo --tuning.off --num-envs 4 --rollout-length 5""",
    "meta": """meta-train ta-lpg --env chain/delayed-short --generations 2000 --population 16 --num-envs 4
        --rollout-length 5 --horizons.low 2 --horizons.high 3 --settings.width 3 --tests 2 --test-every 2000
        --fitness.episodes 8 --fitness.max-steps 40 --sigma 3""",
}
IN = {"sweep": "shape_000"}
"""The folder of the run that is made first, in that of the whole."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


start = pytest.fixture(starting)


class Cell(NamedTuple):
    """One square of the matrix."""

    kind: str
    count: int
    victim: str
    moment: str
    signal: signal.Signals


ALWAYS = Cell("ppo", 2, "first", "saving", signal.SIGINT)
"""Tried in every run of the tests; the whole matrix takes most of an hour."""
WHOLE = ("ppo", "meta")
"""Kinds that have every cell; the others differ from them in how they begin, go on and keep their state."""


def cells() -> list[Any]:
    matrix = [
        Cell(kind, count, victim, moment, number)
        for kind in WORDS
        for count in ((2, 4) if kind in WHOLE else (2,))
        for victim in ("first", "last")
        for moment in moments_of(kind)
        for number in SIGNALS
    ]
    return [pytest.param(cell, marks=() if cell == ALWAYS else pytest.mark.slow) for cell in matrix]


def moments_of(kind: str) -> tuple[str, ...]:
    """They join alike, and a meta-test saves what no other process waits for."""
    if kind in WHOLE:
        return ("joining", "start", "middle", "saving")
    return ("start", "middle") if kind == "meta-test" else ("start", "middle", "saving")


def reach(moment: str, kind: str, out: Path, victim: Process, processes: list[Process]) -> None:
    """Return at the moment, as the operating system or the run's folder tells it; fail if the run ends before."""

    def until(happened: Callable[[], bool]) -> None:
        while not happened():
            for process in processes:
                assert process.poll() is None, ended(process, 1)
            time.sleep(0.001)

    if moment == "joining":
        until(lambda: hears_of_signals(victim))
        return
    run = out / IN.get(kind, "")
    until((run / "config.json").exists)
    if moment == "start":  # it compiles
        return
    made = "results/*.npz" if kind == "meta-test" else "metrics.jsonl"
    until(lambda: any(path.stat().st_size > 0 for path in run.glob(made)))
    if moment == "middle":
        time.sleep(0.5)
    else:
        until(lambda: any((run / "checkpoints").glob("tmp-*")))


def hears_of_signals(process: Process) -> bool:
    """Whether it catches SIGTERM, as Python by itself does not."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.findall(r"SigCgt:\s*(\w+)", status)[0], 16) >> (signal.SIGTERM - 1) & 1)


@needs_an_address
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "cell", cells(), ids=lambda cell: "-".join(map(str, cell[:4])) + f"-{cell.signal.name}"
)
def test_all_end_soon_and_with_one_sentence_each(cell: Cell, tmp_path: Path, start: Start):
    """Who is signalled while nothing can be saved ends at once, and the others after it; later all stop together."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "jaxrl_evolve", *WORDS[cell.kind].split(), "--quiet", "--out", str(out)]
    # Who waits for one that never came can't know of its end; that takes as long as it is told to wait.
    command += ["--join-seconds", "10" if cell.moment == "joining" else "60"]
    cluster = ["--coordinator", address(), "--processes", str(cell.count), "--process-id"]
    processes = [start([*command, *cluster, str(i)]) for i in range(cell.count)]
    victim = processes[0 if cell.victim == "first" else -1]
    reach(cell.moment, cell.kind, out, victim, processes)
    victim.send_signal(cell.signal)
    until = time.monotonic() + SECONDS
    found = {process: ended(process, until - time.monotonic()) for process in processes}
    code, said = found.pop(victim)
    name = cell.signal.name
    if cell.signal == signal.SIGKILL:
        assert (code, said) == (-signal.SIGKILL, "")
    else:
        assert code == EXIT_CODES[name] and re.fullmatch(
            f"jaxrl-evolve: {name}( after| in|: ended).*\n", said
        ), said
    together = re.search(
        f"jaxrl-evolve: {name} (after|in) .*continue with: jaxrl-evolve resume {out}\n$", said
    )
    assert together or cell.moment not in ("middle", "saving") or cell.signal == signal.SIGKILL, said
    sentence = re.escape(said[:-1]) if together else LATE if cell.moment == "joining" else LOST
    for its_code, its_said in found.values():
        assert its_code == (code if together else 1), its_said
        assert re.search(f"(^|\n){sentence}", its_said), its_said
        assert its_said.count("jaxrl-evolve: ") == 1, its_said
        # When the first process ends, jax may be quicker to notice, and says so before we do; of more than two,
        # the first ends after the victim.
        assert "Traceback" not in its_said
        assert its_said.count("\n") == 1 or (
            sentence == LOST and (cell.victim == "first" or cell.count > 2)
        ), its_said
