"""Signals become a flag, the second one raises or ends the process, and handlers come back."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from jaxrl_evolve.training import interrupts as module
from jaxrl_evolve.training.interrupts import Diverged, Interrupted, Interrupts, part_of_more, resumable

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("second", "error", "said"),
    [
        (
            signal.SIGINT,
            KeyboardInterrupt,
            "SIGINT again: ended at once; continue with: jaxrl-evolve resume runs/a",
        ),
        (signal.SIGTERM, SystemExit, "143"),
    ],
)
def test_the_first_signal_sets_the_flag_and_the_second_raises(number, second, error, said):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(error) as raised, resumable("runs/a"), Interrupts() as interrupts:  # noqa: PT012
        assert interrupts.requested is None
        os.kill(os.getpid(), number)
        assert interrupts.requested == number.name
        os.kill(os.getpid(), second)
    assert str(raised.value) == said
    assert interrupts.requested == number.name
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_handlers_return_also_when_nested_and_the_flag_starts_anew():
    seen = []
    old = signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    try:
        interrupts = Interrupts()
        for _ in range(2):
            with interrupts:
                os.kill(os.getpid(), signal.SIGTERM)
                assert interrupts.requested == "SIGTERM" and not seen
                with Interrupts() as inner:
                    os.kill(os.getpid(), signal.SIGINT)
                    assert inner.requested == "SIGINT"
                assert interrupts.requested == "SIGTERM"
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [1]
    finally:
        signal.signal(signal.SIGTERM, old)


def test_outside_the_main_thread_it_does_nothing():
    before, requested = signal.getsignal(signal.SIGINT), []

    def work():
        with Interrupts() as interrupts:
            requested.append((interrupts.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert requested == [(None, before)] and signal.getsignal(signal.SIGINT) == before


def test_a_signal_that_comes_too_late_for_a_run_ends_what_it_is_a_part_of(monkeypatch):
    def run():
        with Interrupts():
            os.kill(os.getpid(), signal.SIGTERM)

    with part_of_more("in a, 1 of 3", "after a, 1 of 3", "runs/a"), Interrupts():
        pass
    said = "^SIGTERM after b, 2 of 3; continue with: .* resume runs/a$"
    with pytest.raises(Interrupted, match=said) as late, part_of_more("", "after b, 2 of 3", "runs/a"):
        run()
    assert late.value.signal == "SIGTERM"
    with part_of_more("in c, 3 of 3", ""):  # nothing is left to be stopped
        run()
    said = "^SIGINT in c, 3 of 3; the same command goes on$"
    with pytest.raises(Interrupted, match=said), part_of_more("in c, 3 of 3", ""):  # noqa: PT012
        run()
        raise Interrupted("SIGINT", "…")
    with pytest.raises(Diverged), part_of_more("in a", "after a"):  # noqa: PT012
        run()
        raise Diverged
    # One that no process got is none, and neither is one from before; one that another process got is one.
    run()
    with part_of_more("in a", "after a"), Interrupts():
        pass
    monkeypatch.setattr(module, "agreed", lambda name: "SIGINT")
    with pytest.raises(Interrupted, match="^SIGINT after a"), part_of_more("in a", "after a"):
        pass


COMPUTING = """
    import contextlib, ctypes, hashlib, signal, sys
    from jaxrl_evolve.training.interrupts import Interrupts, own_process, resumable, take_signals_back
    own_process()
    if sys.argv[1] == "taken":
        ignore = ctypes.c_void_p(1)  # below Python, which still believes that it handles them
        for number in (signal.SIGINT, signal.SIGTERM):
            ctypes.CDLL(None).signal(int(number), ignore)
        take_signals_back()
    with contextlib.ExitStack() as stack:
        stack.enter_context(resumable("runs/a"))
        stack.enter_context(resumable("runs/a/shape_000"))
        if sys.argv[1] == "training":
            stack.enter_context(Interrupts())
        print("here", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # as in a compiled program, Python's handlers wait
"""
IMPORTING = """
    import sys
    from jaxrl_evolve.command.main import main

    class Here:
        def find_spec(self, name, *where):
            if name == "jaxlib":
                print("here", flush=True)

    sys.meta_path.insert(0, Here())
    sys.exit(main())
"""
COMPILING = """
    import sys
    import jax, walk
    from jaxrl_evolve.command.main import main
    from jaxrl_evolve.training import programs

    def compile_programs(*_):
        print("here", flush=True)
        import hashlib
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

    from jaxrl_evolve.training import loop
    loop.compile_programs = compile_programs
    sys.exit(main())
"""


def signalled(script, words, *numbers):
    """Exit code, what was said, and the seconds from the last signal to the end."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, words)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "here\n"
            for number in numbers:
                time.sleep(0.1)
                assert child.poll() is None
                child.send_signal(number)
            sent = time.monotonic()
            said = child.communicate(timeout=60)[1]
        finally:
            child.kill()
    return child.returncode, said, time.monotonic() - sent


@pytest.mark.parametrize(
    ("where", "numbers", "code", "said"),
    [
        ("training", (signal.SIGINT, signal.SIGINT), 130, "SIGINT again"),
        ("training", (signal.SIGTERM, signal.SIGTERM), 143, "SIGTERM again"),
        ("before", (signal.SIGTERM,), 143, "SIGTERM"),
        ("taken", (signal.SIGINT,), 130, "SIGINT"),
        ("taken", (signal.SIGTERM,), 143, "SIGTERM"),
    ],
)
def test_a_process_of_the_command_ends_at_once(where, numbers, code, said):
    expected = f"jaxrl-evolve: {said}: ended at once; continue with: jaxrl-evolve resume runs/a\n"
    found = signalled(COMPUTING, [where], *numbers)
    assert found[:2] == (code, expected) and found[2] < 5


@pytest.mark.core
def test_a_signal_during_the_imports_and_while_compiling_is_one_sentence(tmp_path):
    words = ["train", "ppo", "--env", "tiny/Walk", "--steps", 64, "--out", tmp_path / "run"]
    found = signalled(IMPORTING, words, signal.SIGINT)
    assert found[:2] == (130, "jaxrl-evolve: SIGINT: ended at once\n") and found[2] < 5
    found = signalled(COMPILING, words, signal.SIGTERM)
    how = f"continue with: jaxrl-evolve resume {tmp_path / 'run'}"
    assert found[:2] == (143, f"jaxrl-evolve: SIGTERM: ended at once; {how}\n") and found[2] < 5
