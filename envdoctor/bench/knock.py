"""What else tells of rank 0's node where its port does not answer: another port, or rank 0 itself over UDP.

A port where nobody listens and a firewall that resets connections answer TCP alike. Streamed to every node; Python 3.6
syntax, standard library only.
"""

import socket
import threading
import time

from envdoctor.bench import lifeline, ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

QUESTION, ANSWER = b"envdoctor: is rank 0 here?\n", b"envdoctor: it is\n"
TRIES = 3
WAIT_S = 0.3  # for an answer to each


def answer(port: int, listens: "Callable[[], bool]") -> None:
    """Answer all who ask at a UDP port while the TCP port listens; where the port cannot be had, nobody."""
    own = _bound(port)
    if own is None:
        return

    def serve() -> None:
        while True:
            try:
                said, asker = own.recvfrom(64)
                if not listens():
                    own.close()
                    return
                if said == QUESTION:  # the answer is shorter: nobody can have us flood another machine
                    own.sendto(ANSWER, asker)
            except OSError:
                time.sleep(WAIT_S)

    threading.Thread(target=serve, daemon=True).start()


def _bound(port: int) -> "Optional[socket.socket]":
    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        try:
            own = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:
            continue
        try:
            if family == socket.AF_INET6:
                own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            own.bind((address, port))
            return own
        except OSError:
            own.close()
    return None


def answers(address: str, port: int) -> bool:
    """Whether rank 0 of a benchmark answers over UDP at an address and port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as own:
        own.settimeout(WAIT_S)
        for _ in range(TRIES):
            try:
                own.connect((address, port))
                own.send(QUESTION)
                if own.recv(64) == ANSWER:
                    return True
            except socket.timeout:
                continue
            except OSError:
                return False  # refused as well
    return False


class Later(object):
    """An answer that is looked for in a thread, from when it is first asked for."""

    def __init__(self, function: "Callable[[], str]") -> None:
        self._answers: "List[str]" = []
        self._thread = threading.Thread(target=lambda: self._answers.append(function()), daemon=True)
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._thread.start()

    def answer(self, limit_s: float) -> str:
        """The answer, "" where there is none in time."""
        self.begin()
        self._thread.join(limit_s)
        return self._answers[0] if self._answers else ""


def lives(address: str) -> str:
    """Whether a host answers on some other port: "connected" or "refused" if so, "login" if only the login with which
    the doctor came from it shows that it lives, else "timeout" or an error.

    22 is open or closed on nearly every machine, 1 is closed on nearly every one."""
    outcome = ""
    for port in (22, 1):
        tried = ways.dial(address, port, 1.5)
        if tried.connection is not None:
            tried.connection.close()
        if tried.outcome in ("connected", "refused"):
            return tried.outcome
        outcome = outcome or tried.outcome
    return "login" if address == lifeline.login()[0] else outcome
