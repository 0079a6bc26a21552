"""Learners from replay beside those of others: DQN and SAC beside Rejax's, SPR beside jax-baseline's.

    python benchmarks/off_policy.py --rejax-python PYTHON --jax-baseline DIR --jax-baseline-python PYTHON [--cases CASE ...]

Each peer is run by the interpreter of an environment of its own (jax-baseline's in a checkout of it), in turn with this library; cases without their peer are left out. Results are
kept in ``off_policy.csv``, from which ``off_policy.md`` is written. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import off_policy_cases as cases
import throughput_table as table
from throughput import HERE, PEER_FLAGS, Worker
from throughput_table import Row

TITLE = """# Learners from replay beside others

Written by `benchmarks/off_policy.py` from `off_policy.csv`; what was compared, and how, is in [README.md](../README.md). Targets are those the project set itself before
the measurement. Medians of runs in turn, with the fastest and slowest.
"""


def peer_of(name: str, arguments: argparse.Namespace) -> Worker | None:
    """The process of a case's peer, or None where it is not given."""
    own = name in cases.REJAX
    python = arguments.rejax_python if own else arguments.jax_baseline_python
    if python is None:
        return None
    program = "off_policy_rejax.py" if own else "off_policy_jax_baseline.py"
    case = cases.REJAX[name] if own else cases.SPR[name]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"XLA_FLAGS": PEER_FLAGS}
    folder = None if own else arguments.jax_baseline
    return Worker([python, str(HERE / program), json.dumps(case)], cwd=folder, env=environment)


def measured(name: str, arguments: argparse.Namespace) -> Iterator[Row]:
    """Seconds of both sides in turn: of a whole training, or of a gradient step and an environment step."""
    ours = Worker([sys.executable, str(HERE / "off_policy_worker.py"), name])
    peer = peer_of(name, arguments)
    assert peer is not None
    sides, questions = {"ours": ours, "peer": peer}, ("go",)
    if name in cases.SPR:
        questions = ("train", "whole") if cases.SPR[name]["env"].endswith("MinAtar") else ("train",)
    answers: dict[tuple[str, str], list[float]] = {(q, side): [] for q in questions for side in sides}
    for turn in range(arguments.repeats + 1):
        for (question, side), found in answers.items():
            seconds = sides[side].ask(question)["seconds"]
            if turn:  # the first is a warm-up
                found.append(seconds)
    for side, worker in sides.items():
        yield table.about(name, worker.hello, side)
        yield Row(name, "compile_seconds", side, worker.hello["compile_seconds"])
        worker.close()
    for (question, side), found in answers.items():
        yield Row(name, f"{question}_seconds", side, statistics.median(found), min(found), max(found))


def markdown(rows: Sequence[Row]) -> str:
    """The page for readers."""
    at = {(row.case, row.measure, row.side): row for row in rows}

    def line(title: str, name: str, measure: str, target: float | None) -> str:
        ours, peer = (at[name, measure, side] for side in ("ours", "peer"))
        assert ours.value is not None and peer.value is not None
        told = lambda row: f"{1e3 * row.value:.3g} ({1e3 * row.low:.3g} to {1e3 * row.high:.3g})"
        wanted = "" if target is None else f"{target:g}"
        return f"| {title} | {told(ours)} | {told(peer)} | {peer.value / ours.value:.2f} | {wanted} |"

    head = lambda first, other: [
        "",
        f"| {first} | ours, ms | {other}, ms | ratio | target |",
        "|---|--:|--:|--:|--:|",
    ]
    there = {row.case for row in rows}
    lines = [TITLE, "## Rejax", "", "Whole trainings of one seed without compilation, at equal settings:"]
    lines += head("training", "Rejax")
    lines += [
        line(case["title"] + f", {case['steps']:,} steps", name, "go_seconds", case["target"])
        for name, case in cases.REJAX.items()
        if name in there
    ]
    lines += [
        "",
        "## jax-baseline",
        "",
        "Its SPR with the network, batch, n and K of our preset. Ours draws its batches from the buffer and sets priorities in both rows:",
    ]
    lines += head("SPR", "jax-baseline")
    for name, case in cases.SPR.items():
        for measure, what, target in (
            ("train", "a gradient step", 1.0),
            ("whole", "an environment step of the whole loop", 2.0),
        ):
            if (name, f"{measure}_seconds", "ours") in at:
                lines.append(line(f"{case['title']}: {what}", name, f"{measure}_seconds", target))
    lines += ["", *(f"- {row.case}, {row.side}: {row.text}" for row in rows if row.measure == "about")]
    lines += ["", *(f"- {row.case}: `{row.text}`" for row in rows if row.measure == "command"), ""]
    return "\n".join(lines)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rejax-python", help="interpreter of an environment with Rejax")
    parser.add_argument("--jax-baseline", type=Path, help="checkout of jax-baseline")
    parser.add_argument("--jax-baseline-python", help="interpreter of its environment")
    parser.add_argument("--cases", nargs="+", choices=cases.ALL, default=list(cases.ALL), metavar="CASE")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each side")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args(words)
    if bool(arguments.jax_baseline) != bool(arguments.jax_baseline_python):
        parser.error("--jax-baseline and --jax-baseline-python are only of use together")
    if arguments.jax_baseline and not (arguments.jax_baseline / "jax_baselines").is_dir():
        parser.error(f"--jax-baseline is {arguments.jax_baseline}, which has no folder jax_baselines")
    if arguments.repeats < 1:
        parser.error(f"--repeats is {arguments.repeats}; it must be at least 1")
    given = {*(cases.REJAX if arguments.rejax_python else ()), *(cases.SPR if arguments.jax_baseline else ())}
    arguments.cases = [name for name in arguments.cases if name in given]
    if not arguments.cases:
        parser.error("no case has a peer; give --rejax-python or --jax-baseline")
    return arguments


def main(words: Sequence[str] | None = None) -> None:
    arguments = parse(words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "off_policy.csv"
    for name in arguments.cases:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        # Folders differ from machine to machine and change nothing.
        peer = (
            "--rejax-python PYTHON"
            if name in cases.REJAX
            else "--jax-baseline DIR --jax-baseline-python PYTHON"
        )
        command = f"python benchmarks/off_policy.py {peer} --repeats {arguments.repeats} --cases {name}"
        table.merge(path, name, [*measured(name, arguments), table.note(name, "command", command)], cases.ALL)
        path.with_suffix(".md").write_text(markdown(table.read(path)), encoding="utf-8")
    print(path.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
