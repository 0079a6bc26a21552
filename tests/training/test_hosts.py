"""Several processes of one run, on the loopback device: equal to one, and ended together."""

from __future__ import annotations

import json
import signal
import socket
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pytest
from processes import Process, Start, address, ended, needs_an_address, starting
from tiny import tiny

from jaxrl_evolve.meta.lifetimes import PAIRS
from jaxrl_evolve.meta.train import check, idle_devices
from jaxrl_evolve.objectives import load_objective
from jaxrl_evolve.runs.axes import mesh_for
from jaxrl_evolve.storage.checkpoint import Checkpoints
from jaxrl_evolve.training import hosts

LOST = "jaxrl-evolve: another process of this run ended before its work was done"
WAITING = """
    import sys, time
    from jaxrl_evolve.training import hosts
    hosts.join(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print("joined", flush=True)
    how = sys.stdin.readline().strip()
    if how == "part":
        hosts.part()
    if how != "wait":
        sys.exit(hosts.leave(0 if how == "part" else 3))
    time.sleep(100)
"""
WORDS = """meta-train ta-lpg --env chain/delayed-short --generations 12 --num-envs 4 --rollout-length 5
    --horizons.low 2 --horizons.high 3 --settings.width 3 --tests 2 --test-every 10 --fitness.episodes 8
    --fitness.max-steps 40 --hp.learning-rate 0.3 --quiet"""
OF_ESTIMATOR = {
    "es": "--population 4 --sigma 3 --fitness.average 0.5",
    "pes": "--population 4 --sigma 3 --fitness.average 0.5 --persistent.window 2",
    "meta-gradient": "--gradient.lifetimes 2 --gradient.inner-updates 2",
}


start = pytest.fixture(starting)


@needs_an_address
@pytest.mark.parametrize(
    ("how", "victim", "count"),
    [
        ("killed", 0, 2),
        ("killed", 1, 2),
        ("failed", 0, 2),
        ("done", 1, 2),
        pytest.param("killed", 0, 4, marks=pytest.mark.slow),
        pytest.param("failed", 3, 4, marks=pytest.mark.slow),
    ],
)
@pytest.mark.core("killed-0-2")
def test_processes_end_together(how: str, victim: int, count: int, start: Start):
    """A death is noticed at once, and a farewell is none."""
    where = address()
    script = textwrap.dedent(WAITING)
    command = [sys.executable, "-c", script, where, str(count)]
    processes = [start([*command, str(i)]) for i in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert "joined\n" in iter(process.stdout.readline, "")
    gone, left = processes[victim], [p for i, p in enumerate(processes) if i != victim]

    def tell(process: Process, word: str) -> None:
        assert process.stdin is not None
        process.stdin.write(word + "\n")
        process.stdin.flush()

    for process in left:
        tell(process, "part" if how == "done" else "wait")
    if how == "killed":
        time.sleep(0.5)
        gone.send_signal(signal.SIGKILL)
    else:
        tell(gone, "part" if how == "done" else "fail")
    for process in left:
        code, output = ended(process, 30)
        assert code == (0 if how == "done" else 1), output
        assert output.count(LOST) == (how != "done"), output
    assert ended(gone, 60)[0] == {"killed": -signal.SIGKILL, "failed": 3, "done": 0}[how]


def meeting(*numbers: int, count: int, seconds: float) -> tuple[Any, list[Any]]:
    """What the first of so many processes, and those with these numbers, get from each other (or how they fail)."""
    listener = hosts._listener(0)
    where, until = ("127.0.0.1", listener.getsockname()[1]), time.monotonic() + seconds

    def attempt(call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (OSError, ValueError) as error:
            return error

    with ThreadPoolExecutor() as pool:
        first = pool.submit(attempt, hosts._others, listener, hosts._TOKEN, count, until, seconds)
        hello = lambda number: hosts._TOKEN + number.to_bytes(4, "big")
        others = [pool.submit(attempt, hosts._first, where, hello(n), until, seconds) for n in numbers]
        return first.result(), [other.result() for other in others]


def test_processes_find_each_other_and_strangers_do_not_count():
    first, others = meeting(2, 3, 1, 4, count=4, seconds=3)
    assert len(first) == 3
    for connection in first:
        connection.sendall(hosts._FAREWELL)
    assert [other.recv(1) for other in others[:3]] == [hosts._FAREWELL] * 3
    assert isinstance(others[3], TimeoutError)  # of another run: there is no process 4 of 4
    for connection in (*first, *others[:3]):
        connection.close()


def test_a_process_that_does_not_come_is_named_and_nobody_waits_for_ever():
    first, (other,) = meeting(2, count=4, seconds=1)
    assert str(first) == "of 4 processes, those with process_id 1, 3 did not come within 1 s"
    assert "the first process did not answer at 127.0.0.1" in str(other) and "within 1 s" in str(other)


@pytest.mark.core
def test_numbers_of_processes_are_their_own():
    _, others = meeting(1, 1, count=3, seconds=1)
    assert sorted(type(other).__name__ for other in others) == ["TimeoutError", "ValueError"]
    assert "process_id is 1, as another process's already" in "".join(map(str, others))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("nowhere", 2, 0), "coordinator is 'nowhere'; it must be host:port"),
        (("localhost:99999", 2, 0), "coordinator is 'localhost:99999'"),
        (("localhost:4000", 2, 2), "processes is 2 and process_id 2"),
    ],
)
def test_wrong_addresses_and_numbers_are_refused(wrong: Any, message: str):
    with pytest.raises(ValueError, match=message):
        hosts.join(*wrong)


def test_a_machine_whose_name_has_no_address_is_told_so(monkeypatch: Any):
    def unknown(*_: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ValueError, match=f"called '{socket.gethostname()}', which has no address"):
        hosts.join("127.0.0.1:4000", 2, 0)


def rows(out: Any) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@needs_an_address
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("estimator", ["es", "meta-gradient", "pes"])
def test_a_process_is_killed_and_the_run_resumes_to_the_numbers_of_one_process(
    estimator: str, tmp_path: Any, start: Start
):
    command = [sys.executable, "-m", "jaxrl_evolve"]
    words = [*WORDS.split(), *OF_ESTIMATOR[estimator].split(), "--estimator", estimator, "--out"]
    alone = start([*command, *words, str(tmp_path / "one")], devices=2)

    def pair(*words: str) -> list[Process]:
        cluster = ["--coordinator", address(), "--processes", "2", "--process-id"]
        return [start([*command, *words, *cluster, str(i)]) for i in range(2)]

    out = tmp_path / "two"
    left, victim = pair(*words, str(out))
    while not (out / "metrics.jsonl").exists() or len(rows(out)) < 3:
        assert left.poll() is None and victim.poll() is None, ended(left, 60)
        time.sleep(0.02)
    victim.kill()
    code, output = ended(left, 60)
    assert code == 1 and output.startswith(LOST) and output.count("\n") == 1, output
    victim.communicate()
    assert not (out / "objective.npz").exists()
    with Checkpoints(out / "checkpoints") as checkpoints:
        assert checkpoints.steps()
        for step in checkpoints.steps():
            checkpoints.verify(step)
    for process in pair("resume", str(out), "--quiet"):
        code, output = ended(process, 900)
        assert code == 0, output
    code, output = ended(alone, 900)
    assert code == 0, output
    one, two = load_objective(tmp_path / "one").eta, load_objective(out).eta
    for name, leaf in one.items():
        np.testing.assert_array_equal(two[name], leaf)
        assert np.abs(leaf).max() > 0 or "time" in name
    assert rows(out) == rows(tmp_path / "one")
    assert json.loads((out / "result.json").read_text())["device"]["processes"] == 2


@pytest.mark.usefixtures("all_devices")
def test_a_population_that_devices_do_not_divide(monkeypatch: Any):
    """One process uses as many devices as fit, and says so; several refuse, since each must have a share."""
    config = tiny(evolution={"population": 6})
    mesh = mesh_for(PAIRS, config.agents)
    assert mesh is not None and mesh.size == 3
    said = "3 of 8 devices are used: there are 3 pairs (half the population), not a multiple of 8"
    assert idle_devices(config, mesh) == said
    even = tiny(evolution={"population": 32})
    assert idle_devices(even, mesh_for(PAIRS, even.agents)) == ""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    check(even)
    with pytest.raises(
        ValueError, match=r"3 pairs \(half the population\) and 8 devices on 2 processes; the"
    ):
        check(config)
    with pytest.raises(ValueError, match=r"there are 3 gradient.lifetimes and 8 devices on 2 processes"):
        check(tiny(estimator="meta-gradient", gradient={"lifetimes": 3}))
