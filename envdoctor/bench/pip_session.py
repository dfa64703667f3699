"""A requests session that talks to package indexes in the manner of the target's pip."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from envdoctor.bench.pip_manner import Manner

HOPS = 5  # redirects that are followed; a mirror needs one or two
FIRST_PIECE, LAST_PIECE = 1024, 1 << 16  # bytes per read: small where little comes, so that what came is known
QUICK_S = 0.02  # a read that takes less may be longer the next time


def proxy_for(manner: Manner, url: str) -> str:
    """The proxy pip goes through for a URL: its own setting, else the environment's; empty for none."""
    if manner.proxy:
        return manner.proxy
    return str(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or "")


class Unreached(Exception):
    """A request without an answer. `outcome` is one of those of `envdoctor.facts.index.IndexProbe`, or "redirects"."""

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail[:300]


@dataclass(frozen=True)
class Contexts:
    """TLS as pip sets it up: once for all connections, since a bundle takes its time to read.

    Attributes:
        fault: why the bundle or the client's certificate cannot be loaded, empty if they can; then no https index can
            be asked but those of trusted hosts.
    """

    checked: ssl.SSLContext
    trusting: ssl.SSLContext
    fault: str = ""


def contexts(manner: Manner) -> Contexts:
    """The TLS settings."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    checked, fault = ssl.create_default_context(), ""
    if manner.cert and not manner.system_store:
        checked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Newer Pythons refuse certificates that break a rule no client used to hold them to; pip still takes them.
    checked.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if getattr(urllib3, "__version__", "").startswith("1."):
        # It hands no name over for an address, which OpenSSL would insist on, and compares names itself.
        checked.check_hostname = False
    named = ""
    try:
        if named := manner.cert:
            folder = os.path.isdir(named)
            checked.load_verify_locations(None if folder else named, named if folder else None)
        if named := manner.client_cert:
            checked.load_cert_chain(named)
            trusting.load_cert_chain(named)
    except (OSError, ValueError) as error:
        fault = f"{named}: {getattr(error, 'strerror', None) or error}"
    return Contexts(checked, trusting, fault)


class _Adapter(HTTPAdapter):
    """Connections under one TLS context, whatever bundle the variables of the doctor's own environment name."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        checked = self._context.verify_mode is ssl.CERT_REQUIRED
        conn.cert_reqs = "CERT_REQUIRED" if checked else "CERT_NONE"
        conn.assert_hostname = None if checked else False
        conn.ca_certs = conn.ca_cert_dir = None


class _Session(requests.Session):
    """Follows no redirect by itself: requests reads the whole body of one first, however long it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Conversation:
    """Requests to one index, over connections that are kept."""

    def __init__(self, manner: Manner, tls: Contexts, index_url: str) -> None:
        # pip says nothing about a trusted host's certificate either.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._manner, self._tls = manner, tls
        self._index = urlsplit(index_url)
        self._session = _Session()
        self._checked, self._trusting = _Adapter(tls.checked), _Adapter(tls.trusting)

    def ask(
        self, method: str, url: str, until: float, headers: dict[str, str], agent: str = ""
    ) -> tuple[requests.Response, str, float]:
        """Ask, and follow redirects.

        Args:
            until: time.monotonic() at which the answer must have begun.
            agent: another name than pip's.

        Returns:
            The answer with its body still to come, the URL it came from, and the seconds from the last request to the
            first byte of its answer.

        Raises:
            Unreached: there was no answer.
        """
        for _ in range(HOPS + 1):
            began = time.monotonic()
            answer = self._once(method, url, max(0.05, until - began), headers, agent)
            took = time.monotonic() - began
            target = answer.headers.get("Location", "") if answer.status_code in (301, 302, 303, 307, 308) else ""
            if not target:
                return answer, url, took
            answer.close()
            try:
                # A header is Latin-1 by the standard, and UTF-8 by habit.
                url = urljoin(url, target.encode("latin-1", "replace").decode("utf-8", "replace"))
            except ValueError as error:
                raise Unreached("redirects", str(error)) from error
            if not url.lower().startswith(("http://", "https://")):
                raise Unreached("redirects", "led to an address that is not http")
            if time.monotonic() >= until:
                raise Unreached("timeout", "redirected until the time was up")
        raise Unreached("redirects", f"redirected more than {HOPS} times")

    def _once(self, method: str, url: str, patience_s: float, headers: dict[str, str], agent: str) -> requests.Response:
        trusted = self._manner.trusts(url)
        if self._tls.fault and url.lower().startswith("https://") and not trusted:
            raise Unreached("bad-bundle", self._tls.fault)
        adapter = self._trusting if trusted else self._checked
        self._session.mount("https://", adapter)
        proxy = self._manner.proxy
        try:
            return self._session.request(
                method, url, stream=True, allow_redirects=False, timeout=(patience_s, patience_s),
                headers={"User-Agent": agent or self._manner.user_agent, **headers}, auth=self._login(url),
                proxies={"http": proxy, "https": proxy} if proxy else None,
            )  # fmt: skip
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _unreached(error) from error

    def _login(self, url: str) -> tuple[str, str] | None:
        """The index URL's credentials, for whatever lies on its host, as pip has it."""
        parts = urlsplit(url)
        if not self._index.username or parts.username or parts.netloc != self._index.netloc.rpartition("@")[2]:
            return None
        return unquote(self._index.username), unquote(self._index.password or "")

    def close(self) -> None:
        self._session.close()


def pieces(answer: requests.Response, take: Callable[[bytes], bool]) -> None:
    """Give the body's bytes, as they are on the wire, to `take` until that returns False or there are no more.

    Raises:
        Unreached: the connection broke.
    """
    size = FIRST_PIECE
    try:
        while True:
            began = time.monotonic()
            piece = answer.raw.read(size, decode_content=False)
            if not piece or not take(piece):
                return
            if len(piece) == size and time.monotonic() - began < QUICK_S:
                size = min(size * 2, LAST_PIECE)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        found = _unreached(error)
        # It was a web server that began to speak: a body that ends early is a connection that broke.
        raise Unreached("reset" if found.outcome == "not-http" else found.outcome, found.detail) from error


def _unreached(error: BaseException) -> Unreached:
    """What stands behind an error of requests, which wraps urllib3's, which wraps the system's."""
    import errno
    import socket

    chain: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo and len(chain) < 30:
        one = todo.pop(0)
        if any(one is known for known in chain):
            continue
        chain.append(one)
        inner = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        todo += [cause for cause in inner if isinstance(cause, BaseException)]
    system = next((one for one in reversed(chain) if isinstance(one, OSError) and one.errno), None)
    words = (system.strerror if system is not None else "") or str(chain[-1]) or type(error).__name__
    kinds: list[tuple[str, tuple[type[BaseException], ...]]] = [
        ("proxy", (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)),
        ("no-name", (socket.gaierror, UnicodeError, urllib3.exceptions.LocationParseError)),
        ("tls", (ssl.SSLError, requests.exceptions.SSLError, urllib3.exceptions.SSLError)),
        ("refused", (ConnectionRefusedError,)),
        ("reset", (ConnectionResetError, BrokenPipeError)),
        ("timeout", (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)),
    ]
    for outcome, classes in kinds:
        if found := next((one for one in chain if isinstance(one, classes)), None):
            verdict = next((told for one in chain if (told := getattr(one, "verify_message", ""))), "")
            return Unreached(outcome, verdict if outcome == "tls" and verdict else words or str(found))
    unroutable = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
    if system is not None and system.errno in unroutable:
        return Unreached("no-route", words)
    broken = any(isinstance(one, urllib3.exceptions.ProtocolError) for one in chain)
    return Unreached("not-http" if broken else "failed", words)
