"""Speed of meta-training: against GROOVE's public code, of lives of unequal length, and over devices.

    python benchmarks/meta_throughput.py --peer CHECKOUT --peer-python ITS_PYTHON

Without ``--peer`` only this library is measured. Every case runs in fresh processes, whose programs take
turns. Results are kept in ``meta_throughput.csv``, from which ``meta_throughput.md`` is written; measuring some
cases (``--cases``) replaces their rows and leaves the others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import meta_throughput_cases as cases
import meta_throughput_table as report
import throughput_table as table
from throughput import HERE, PEER_FLAGS, Worker
from throughput_table import Row


@contextlib.contextmanager
def ours(case: dict[str, Any], devices: int = 0) -> Iterator[Worker]:
    """A process of this library, with as many devices as there are cores unless told otherwise."""
    flags = os.environ.get("XLA_FLAGS", "")
    if devices:
        flags = f"{flags} --xla_force_host_platform_device_count={devices}".strip()
    command = [sys.executable, str(HERE / "meta_throughput_worker.py"), json.dumps(case)]
    with contextlib.closing(Worker(command, env=os.environ | {"XLA_FLAGS": flags})) as worker:
        yield worker


@contextlib.contextmanager
def peers(case: dict[str, Any], arguments: argparse.Namespace) -> Iterator[Worker | None]:
    if arguments.peer is None:
        yield None
        return
    command = [arguments.peer_python, str(HERE / "meta_throughput_peer.py"), json.dumps(case)]
    own = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"XLA_FLAGS": PEER_FLAGS}
    with contextlib.closing(Worker(command, cwd=arguments.peer, env=own)) as worker:
        yield worker


def timed(name: str, measure: str, side: str, answers: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """Median, fastest and slowest; and the processor's time, which other work on the machine changes less."""
    for unit in ("seconds", "processor_seconds"):
        values = [answer[unit] for answer in answers]
        measured = (statistics.median(values), min(values), max(values))
        yield Row(name, f"{measure}: {unit}", side, *measured)


def in_turns(asked: dict[tuple[str, str], Worker], repeats: int) -> dict[tuple[str, str], list[Any]]:
    """Answers by side and question, everything asked once in each turn."""
    answers: dict[tuple[str, str], list[Any]] = {question: [] for question in asked}
    for _ in range(repeats):
        for question, worker in asked.items():
            answers[question].append(worker.ask(question[1]))
    return answers


def against_the_peer(name: str, case: dict[str, Any], arguments: argparse.Namespace) -> Iterator[Row]:
    """Both sides in turns. The first run of a process, which touches its memory first, is not timed."""
    with ours(case) as own, peers(case, arguments) as peer:
        sides = {"ours": own} | ({"peer": peer} if peer else {})
        shortest = next(iter(case["lifetimes"]))
        grown = {side: worker.ask(shortest)["grown_mib"] for side, worker in sides.items()}
        asked = {(side, kind): worker for kind in case["lifetimes"] for side, worker in sides.items()}
        if not case["es"]:
            own.ask("side by side")
            asked["ours", "side by side"] = own
        for (side, kind), answers in in_turns(asked, repeats_of(name, arguments)).items():
            yield from timed(name, kind, side, answers)
        for side, worker in sides.items():
            yield table.about(name, worker.hello, side)
            yield Row(name, "compile_seconds", side, worker.hello["compile_seconds"])
            yield Row(name, "grown_mib", side, grown[side])
            temporary = worker.hello["temporary_mib"]
            if not isinstance(temporary, dict):
                temporary = dict.fromkeys(case["lifetimes"], temporary)
            for kind, mib in temporary.items():
                yield Row(name, f"{kind}: temporary_mib", side, mib)
        for kind, updates in own.hello.get("updates", {}).items():
            yield Row(name, f"{kind}: updates", "ours", updates)


def of_ours(name: str, case: dict[str, Any], questions: Sequence[str], repeats: int) -> Iterator[Row]:
    """This library's programs in turns, each run once before."""
    with ours(case) as worker:
        yield table.about(name, worker.hello)
        for question in questions:
            worker.ask(question)
        asked = {("ours", question): worker for question in questions}
        for (side, question), answers in in_turns(asked, repeats).items():
            yield from timed(name, question, side, answers)
        for kind, factor in worker.hello.get("ideal", {}).items():
            yield Row(name, f"{kind}: ideal", "ours", factor)


def over_devices(name: str, case: dict[str, Any], repeats: int) -> Iterator[Row]:
    """The same work per device on more and more devices, which here share the machine's cores."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for devices in case["devices"]:
            scaled = case | {"agents": case["agents"] * devices}
            workers[devices] = stack.enter_context(ours(scaled, devices))
            workers[devices].ask("fixed")
        yield table.about(name, workers[case["devices"][0]].hello)
        answers = {devices: [] for devices in workers}
        for _ in range(repeats):
            for devices, worker in workers.items():
                answers[devices].append(worker.ask("fixed"))
        for devices, got in answers.items():
            yield from timed(name, f"{devices} devices", "ours", got)


def repeats_of(name: str, arguments: argparse.Namespace) -> int:
    return min(arguments.repeats, cases.CASES[name].get("repeats", arguments.repeats))


def measure(name: str, arguments: argparse.Namespace) -> Iterator[Row]:
    case, repeats = cases.CASES[name], repeats_of(name, arguments)
    if "devices" in case:
        return over_devices(name, case, repeats)
    match case["part"]:
        case "buckets":
            questions = [f"{kind}, {lanes} lanes" for kind in case["lifetimes"] for lanes in case["lanes"]]
            return of_ours(name, case, questions, repeats)
        case "overhead":
            return of_ours(name, case, ("generation", "bare"), repeats)
    return against_the_peer(name, case, arguments)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer", type=Path, help="checkout of EmptyJackson/groove")
    parser.add_argument("--peer-python", help="interpreter of its virtual environment")
    parser.add_argument("--cases", nargs="+", choices=cases.ALL, default=list(cases.ALL), metavar="CASE")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each program, at most")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args(words)
    if arguments.peer and not (arguments.peer / "meta" / "train.py").is_file():
        parser.error(f"--peer is {arguments.peer}, which has no meta/train.py")
    if bool(arguments.peer) != bool(arguments.peer_python):
        parser.error("--peer and --peer-python are only of use together")
    if arguments.repeats < 1:
        parser.error(f"--repeats is {arguments.repeats}; it must be at least 1")
    return arguments


def main(words: Sequence[str] | None = None) -> None:
    arguments = parse(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    source, target = arguments.out / "meta_throughput.csv", arguments.out / "meta_throughput.md"
    # Folders differ from machine to machine and change nothing.
    peer = " --peer DIR --peer-python PYTHON" if arguments.peer else ""
    for name in arguments.cases:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        command = (
            f"python benchmarks/meta_throughput.py{peer} --repeats {repeats_of(name, arguments)} "
            f"--cases {shlex.quote(name)}"
        )
        rows = [*measure(name, arguments), table.note(name, "command", command)]
        table.merge(source, name, rows, cases.ALL)
        report.write_markdown(source, target)
    print(target.read_text())


if __name__ == "__main__":
    main()
