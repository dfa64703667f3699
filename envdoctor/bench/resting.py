"""Nothing is measured while the patient still looks at a machine: the doctor tells its agents when that is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from envdoctor.bench.conducting import Conduct
from envdoctor.bench.places import Looked, Places


class Resting:
    """Tells every agent when nobody looks at its machine any longer. It must have spoken before: until then its input
    is still being written.

    Args:
        seen: told what the patient has seen, before the agents are.
    """

    def __init__(self, conduct: Conduct, seen: Callable[[Sequence[Looked]], None] = lambda looked: None) -> None:
        self._conduct = conduct
        self._seen = seen
        self._lock = threading.Lock()
        self._waiting: set[int] = set()
        self._told: set[int] = set()
        self._looked = False

    def after(self, places: Places) -> None:
        """Wait for the places in the background."""

        def wait() -> None:
            self._seen(places.looked(()))
            with self._lock:
                self._looked = True
            self._tell()

        try:
            threading.Thread(target=wait, daemon=True).start()
        except RuntimeError:
            wait()  # no thread may start

    def heard(self, number: int) -> None:
        """An agent has spoken."""
        with self._lock:
            if number in self._told:
                return
            self._waiting.add(number)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            ready = self._waiting if self._looked else set()
            self._waiting = self._waiting - ready
            self._told |= ready
        for number in ready:
            self._conduct.say(number, {"looked": True})
