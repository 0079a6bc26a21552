"""Speed of training: against PureJaxRL, by parts, and with and without resets.

    python benchmarks/throughput.py --peer CHECKOUT --peer-python ITS_PYTHON

Without ``--peer`` only this library is measured. Every case runs in fresh processes; in cases with a peer
the two take turns. Results are kept in ``throughput.csv``, from which ``throughput.md`` is written; measuring
some cases (``--cases``) replaces their rows and leaves the others.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import throughput_cases as cases
import throughput_table as table
from throughput_table import Row

HERE = Path(__file__).resolve().parent
PEER_FLAGS = "--xla_cpu_enable_concurrency_optimized_scheduler=false"


class Worker:
    """A measuring process: one line in, one JSON object out."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
        )
        self.hello = self._answer()

    def ask(self, line: str = "go") -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the measuring process ended with exit code {self.process.wait()}; see above")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def ours(part: str, case: Any) -> Iterator[Worker]:
    plain = dataclasses.asdict(case) if dataclasses.is_dataclass(case) else case
    worker = Worker([sys.executable, str(HERE / "throughput_worker.py"), part, json.dumps(plain)])  # type: ignore[arg-type]
    try:
        yield worker
    finally:
        worker.close()


@contextlib.contextmanager
def peers(case: cases.Case, arguments: argparse.Namespace) -> Iterator[Worker | None]:
    if arguments.peer is None:
        yield None
        return
    worker = Worker(
        [arguments.peer_python, str(HERE / "throughput_peer.py"), json.dumps(dataclasses.asdict(case))],
        cwd=arguments.peer,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"XLA_FLAGS": PEER_FLAGS},
    )
    try:
        yield worker
    finally:
        worker.close()


def taking_turns(name: str, part: str, case: cases.Case, arguments: argparse.Namespace) -> Iterator[Row]:
    """Speed, compile time and memory of both sides; with ``last_updates`` also returns, of one run each."""
    with ours("speed", case) as own, peers(case, arguments) as peer:
        sides = {"ours": own} | ({"peer": peer} if peer else {})
        answers: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        question = "returns" if case.last_updates else "go"
        for turn in range(1 if case.last_updates else arguments.repeats + 1):
            for side, worker in sides.items():
                answer = worker.ask(question)
                if turn or case.last_updates:  # the first is a warm-up
                    answers[side].append(answer)
        for side, worker in sides.items():
            yield table.about(name, worker.hello, side)
            if case.last_updates:
                yield table.interval(name, "final_return", side, answers[side][-1]["returns"])
                continue
            rates = [case.steps / answer["seconds"] for answer in answers[side]]
            yield Row(name, "steps_per_second", side, statistics.median(rates), min(rates), max(rates))
            yield Row(name, "compile_seconds", side, worker.hello["compile_seconds"])
            yield Row(name, "peak_mib", side, answers[side][-1]["peak_mib"])


def parts_of_an_update(name: str, case: cases.Case) -> Iterator[Row]:
    with ours("breakdown", case) as worker:
        yield table.about(name, worker.hello)
        for measure, value in worker.ask()["milliseconds"].items():
            yield Row(name, measure, "ours", value)


def cost_of_resets(name: str, case: dict[str, Any], repeats: int) -> Iterator[Row]:
    steps = case["updates"] * case["num_envs"] * case["rollout_length"]
    with ours("resets", case) as worker:
        yield table.about(name, worker.hello)
        worker.ask()  # warm-up
        answers = [worker.ask() for _ in range(repeats)]
        for policy in case["policies"]:
            rates = [steps / answer["seconds"][policy] for answer in answers]
            yield Row(name, policy, "ours", statistics.median(rates), min(rates), max(rates))
            yield Row(name, f"{policy} compile", "ours", worker.hello["compile_seconds"][policy])
            yield Row(name, f"{policy} episodes", "ours", answers[-1]["episodes"][policy])


def number_of_traces(name: str, case: cases.Case) -> Iterator[Row]:
    with ours("traces", case) as worker:
        yield table.about(name, worker.hello)
        answer = worker.ask()
        yield Row(name, "chunks run", "ours", answer["rows"])
        for program, count in answer["traces"].items():
            yield Row(name, f"traces of {program}", "ours", count)


def start(name: str, case: dict[str, Any]) -> Iterator[Row]:
    """Seconds of the whole command, and until its first row of metrics: cold, then with its cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jaxrl_evolve", "train", "ppo", "--env", case["env"]]
        command += ["--steps", str(case["steps"]), "--quiet", "--cache", f"{folder}/cache", "--out"]
        for attempt in ("cold", "second", "third"):
            run = Path(folder, attempt)
            began = time.perf_counter()
            process = subprocess.Popen([*command, str(run)])
            first = None
            while process.poll() is None:
                metrics = run / "metrics.jsonl"
                if first is None and metrics.exists() and metrics.stat().st_size:
                    first = time.perf_counter() - began
                time.sleep(0.01)
            whole = time.perf_counter() - began
            if process.returncode:
                raise SystemExit(f"the command ended with exit code {process.returncode}")
            yield Row(name, f"{attempt}: first row of metrics", "ours", whole if first is None else first)
            yield Row(name, f"{attempt}: whole command", "ours", whole)
        result = json.loads((run / "result.json").read_text())
        yield table.about(name, result)


def measure(name: str, arguments: argparse.Namespace) -> Iterator[Row]:
    if name in cases.SPEED:
        return taking_turns(name, "speed", cases.SPEED[name], arguments)
    if name in cases.RETURNS:
        return taking_turns(name, "returns", cases.RETURNS[name], arguments)
    if name in cases.BREAKDOWN:
        return parts_of_an_update(name, cases.BREAKDOWN[name])
    if name in cases.RESETS:
        return cost_of_resets(name, cases.RESETS[name], arguments.repeats)
    if name in cases.TRACES:
        return number_of_traces(name, cases.TRACES[name])
    return start(name, cases.START[name])


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peer", type=Path, help="folder with PureJaxRL's ppo.py and wrappers.py")
    parser.add_argument("--peer-python", help="interpreter of its virtual environment")
    parser.add_argument("--cases", nargs="+", choices=cases.ALL, default=list(cases.ALL), metavar="CASE")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each side")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args(words)
    if arguments.peer and not (arguments.peer / "ppo.py").is_file():
        parser.error(f"--peer is {arguments.peer}, which has no ppo.py")
    if bool(arguments.peer) != bool(arguments.peer_python):
        parser.error("--peer and --peer-python are only of use together")
    if arguments.repeats < 1:
        parser.error(f"--repeats is {arguments.repeats}; it must be at least 1")
    return arguments


def main(words: Sequence[str] | None = None) -> None:
    arguments = parse(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Folders differ from machine to machine and change nothing.
    peer = " --peer DIR --peer-python PYTHON" if arguments.peer else ""
    for name in arguments.cases:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        command = (
            f"python benchmarks/throughput.py{peer} --repeats {arguments.repeats} --cases {shlex.quote(name)}"
        )
        rows = [*measure(name, arguments), table.note(name, "command", command)]
        table.merge(arguments.out / "throughput.csv", name, rows)
        table.write_markdown(arguments.out / "throughput.csv", arguments.out / "throughput.md")
    print((arguments.out / "throughput.md").read_text())


if __name__ == "__main__":
    main()
