"""Signals become a flag, the second one raises, and handlers come back."""

import os
import signal
import threading

import pytest

from jaxrl_evolve.training.interrupts import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_sets_the_flag_and_the_second_raises(number):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012
        assert interrupts.requested is None
        os.kill(os.getpid(), number)
        assert interrupts.requested == number.name
        os.kill(os.getpid(), signal.SIGINT)
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
