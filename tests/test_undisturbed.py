"""Tests of what Ctrl-C may not cut in two."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from envdoctor.undisturbed import undisturbed


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_waits_and_is_told() -> None:
    done = []
    with undisturbed() as heard:
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_the_main_thread_and_with_other_handlers_signals_are_left_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with undisturbed() as heard:
            seen.append(heard)
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [[], before, [], signal.SIG_IGN]
