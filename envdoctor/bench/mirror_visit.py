"""One site asked: torch's page as pip asks for it, where a wheel lies, and a bounded piece of that wheel."""

from __future__ import annotations

import re
import time
import zlib
from dataclasses import dataclass, field

from envdoctor.bench import index_page
from envdoctor.bench.pip_manner import Manner
from envdoctor.bench.pip_session import Contexts, Conversation, Unreached, pieces
from envdoctor.bench.sites import Site
from envdoctor.facts.pip import host_of

ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"  # pip's own
)
REFUSALS = (401, 403, 406, 429)  # with which firewalls turn a User-Agent away
PAGE_WIRE, PAGE_WHOLE = 2 << 20, 8 << 20  # bytes of a page, on the wire and decompressed; torch's is about 1 MB
PIECE = 2 << 20  # bytes of a wheel: "at most a few MB per host" is this and the page
PIECE_S = 1.5
# A connection begins slowly (RFC 5681): what it does after so many bytes is nearer to what it does with a gigabyte.
SLOW_START = 256 << 10


@dataclass
class Visit:
    """What became of a site so far. Its thread writes, the run's reads; fields are set once, counts only grow.

    Attributes:
        stage: "asking" (for the page), "reading" (it), "looking" (where the wheel lies), "ready" (for the piece),
            "measuring", "done".
        outcome: as `envdoctor.facts.index.IndexProbe` has it; "answered" is HTTP, whatever its status.
        status: of HTTP with pip's own User-Agent; status_short with a short one, asked where pip was refused.
        cold_s: from the first packet to the first byte of the page.
        latency_s: the shortest time from a request to the first byte of its answer.
        final_url: of the page, after redirects; empty without one.
        listing: of the page; None before it is read.
        wheel: that pip would take; wheel_url is where it lies after redirects, wheel_bytes its size.
        page_bytes, piece_bytes: that have come over the wire.
        marks: (seconds, bytes) of the piece, from the first byte of the answer on.
        abandoned: nobody waits for it any more; the thread is to end.
        skipped: no piece was fetched, since this site cannot be the fastest.
    """

    site: Site
    stage: str = "asking"
    outcome: str = ""
    detail: str = ""
    status: int | None = None
    status_short: int | None = None
    cold_s: float | None = None
    latency_s: float | None = None
    final_url: str = ""
    listing: index_page.Listing | None = None
    wheel: index_page.Wheel | None = None
    wheel_url: str = ""
    wheel_bytes: int | None = None
    page_bytes: int = 0
    page_s: float = 0.0
    piece_bytes: int = 0
    piece_failure: str = ""
    marks: list[tuple[float, int]] = field(default_factory=list)
    abandoned: bool = False
    skipped: bool = False
    conversation: Conversation | None = None

    def fail(self, outcome: str, detail: str = "") -> None:
        self.outcome, self.detail, self.stage = outcome, detail, "done"

    def heard(self, seconds: float) -> None:
        """An answer began after so many seconds."""
        self.latency_s = seconds if self.latency_s is None else min(self.latency_s, seconds)

    @property
    def bytes_per_s(self) -> float | None:
        """Of the piece, its slow start left out; None where too little came to tell."""
        marks = list(self.marks)
        if not marks or not marks[-1][1]:
            return None
        seconds, count = marks[-1]
        if count >= 2 * SLOW_START:
            begun_s, begun = next(mark for mark in marks if mark[1] >= SLOW_START)
            if count > begun and seconds > begun_s:
                return (count - begun) / (seconds - begun_s)
        return count / max(seconds, 1e-6)


class TooLong(Exception):
    """A page that is longer, or unpacks to more, than any index has to say of torch."""


class Unpacking:
    """A body as it comes off the wire, decompressed within a limit."""

    def __init__(self, encoding: str, most: int) -> None:
        # 32 + 15: zlib finds out by itself whether it is gzip or deflate.
        self._packed = zlib.decompressobj(47) if encoding.strip().lower() in ("gzip", "x-gzip", "deflate") else None
        self.readable = self._packed is not None or encoding.strip().lower() in ("", "identity")
        self._most = most
        self.body = bytearray()

    def feed(self, piece: bytes) -> None:
        """Raises TooLong where there is more than the limit, zlib.error for what is not packed as it says."""
        left = self._most - len(self.body)
        self.body += self._packed.decompress(piece, left + 1) if self._packed else piece[: left + 1]
        if len(self.body) > self._most:
            raise TooLong

    @property
    def complete(self) -> bool:
        return self._packed is None or self._packed.eof


def page(
    visit: Visit, manner: Manner, tls: Contexts, platform: tuple[str, str, str], answer_by: float, by: float
) -> None:
    """Ask for torch's page, read it, and find out where the wheel for `platform` lies.

    Args:
        answer_by: time.monotonic() at which the site must have answered.
        by: when the page must have been read.
    """
    url = visit.site.url.rstrip("/") + "/torch/"
    visit.conversation = talk = Conversation(manner, tls, visit.site.url)
    try:
        began = time.monotonic()
        headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip, deflate", "Cache-Control": "max-age=0"}
        answer, final, took = talk.ask("GET", url, answer_by, headers)
        visit.cold_s = time.monotonic() - began
        visit.heard(took)
        visit.status, visit.final_url = answer.status_code, final if final != url else ""
        if answer.status_code in REFUSALS:
            answer.close()
            short, _, _ = talk.ask("GET", url, answer_by, headers, manner.short_agent)
            visit.status_short = short.status_code
            short.close()
        if answer.status_code != 200:
            visit.fail("answered")
            return
        visit.stage = "reading"
        body = _read(visit, answer, by)
        if body is None:
            return
        visit.listing = index_page.read(bytes(body), answer.headers.get("Content-Type", ""), final)
        visit.wheel = visit.listing.wheel(*platform)
        visit.outcome = "answered"
        if visit.wheel is None:
            visit.stage = "done"
            return
        visit.wheel_url, visit.wheel_bytes = visit.wheel.url, visit.wheel.size
        visit.stage = "looking"
        _look(visit, talk, answer_by)
        visit.stage = "ready"
    except Unreached as error:
        visit.fail(error.outcome, error.detail)
    except Exception as error:
        # The answers come from anywhere: what nobody thought of is this site's fault, and ends nothing but its visit.
        visit.fail("failed", f"{type(error).__name__}: {error}"[:300])


def _read(visit: Visit, answer: object, by: float) -> bytearray | None:
    """The page; None where it did not come to an end, which the visit says."""
    import requests

    assert isinstance(answer, requests.Response)
    unpacking = Unpacking(answer.headers.get("Content-Encoding", ""), PAGE_WHOLE)
    if not unpacking.readable:
        visit.fail("unreadable", f"Content-Encoding: {answer.headers['Content-Encoding']}"[:200])
        return None
    began = time.monotonic()
    late = False

    def take(piece: bytes) -> bool:
        nonlocal late
        visit.page_bytes += len(piece)
        visit.page_s = time.monotonic() - began
        if visit.page_bytes > PAGE_WIRE:
            raise TooLong
        unpacking.feed(piece)
        late = time.monotonic() >= by
        return not late and not visit.abandoned

    try:
        pieces(answer, take)
    except TooLong:
        visit.fail("too-long", f"more than {PAGE_WIRE >> 20} MiB, or {PAGE_WHOLE >> 20} MiB unpacked")
    except zlib.error as error:
        visit.fail("unreadable", str(error))
    else:
        told = answer.headers.get("Content-Length", "")
        short = told.isdigit() and len(told) < 12 and visit.page_bytes < int(told)
        if late or visit.abandoned:
            visit.fail("slow", f"{visit.page_bytes} bytes of the page in {visit.page_s:.1f} s")
        elif short or not unpacking.complete:
            visit.fail("reset", f"the page ended after {visit.page_bytes} bytes")
        else:
            return unpacking.body
    finally:
        if visit.stage == "done":
            answer.close()
    return None


def _look(visit: Visit, talk: Conversation, by: float) -> None:
    """Where the wheel lies in the end, how large it is, and how fast a second answer comes; silence does not matter."""
    if time.monotonic() >= by - 0.05:
        return
    try:
        answer, final, took = talk.ask("HEAD", visit.wheel_url, by, {"Accept-Encoding": "identity"})
    except Unreached:
        return
    visit.heard(took)
    told = answer.headers.get("Content-Length", "")
    answer.close()
    if answer.status_code == 200:
        visit.wheel_url = final
        if told.isdigit() and len(told) < 15 and int(told):
            visit.wheel_bytes = int(told)


def piece(visit: Visit, until: float) -> None:
    """Fetch the beginning of the wheel, for PIECE_S and until `until` at most."""
    visit.stage = "measuring"
    talk, wheel = visit.conversation, visit.wheel
    assert talk is not None and wheel is not None
    try:
        headers = {"Range": f"bytes=0-{PIECE - 1}", "Accept-Encoding": "identity"}
        answer, final, took = talk.ask("GET", wheel.url, until, headers)
        visit.heard(took)
        visit.wheel_url = final
        if answer.status_code not in (200, 206):
            answer.close()
            visit.piece_failure = f"HTTP {answer.status_code}"
            return
        whole = re.fullmatch(r"bytes 0-\d{1,14}/(\d{1,14})", answer.headers.get("Content-Range", ""))
        if whole and int(whole[1]):
            visit.wheel_bytes = int(whole[1])
        began = time.monotonic()
        until = min(until, began + PIECE_S)

        def take(more: bytes) -> bool:
            visit.piece_bytes += len(more)
            now = time.monotonic()
            visit.marks.append((now - began, visit.piece_bytes))
            return visit.piece_bytes < PIECE and now < until and not visit.abandoned

        pieces(answer, take)
        answer.close()
    except Unreached as error:
        visit.piece_failure = error.detail or error.outcome
    except Exception as error:
        visit.piece_failure = f"{type(error).__name__}: {error}"[:300]
    finally:
        visit.stage = "done"


def host_of_files(visit: Visit) -> str:
    """The host that pip would fetch the wheel from."""
    return host_of(visit.wheel_url)
