"""What Ctrl-C may not cut in two: files half written, processes half ended."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def undisturbed() -> Iterator[list[int]]:
    """Have Ctrl-C wait until this is done. What came meanwhile is in the list; nothing is raised for it."""
    heard: list[int] = []
    deferred = False
    if threading.current_thread() is threading.main_thread():
        before = signal.getsignal(signal.SIGINT)
        if deferred := before is signal.default_int_handler:
            signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield heard
    finally:
        if deferred:
            signal.signal(signal.SIGINT, signal.default_int_handler)
