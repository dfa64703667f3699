"""One HTTP request with every step told apart: name, connection, TLS, proxy, answer. Standard library only."""

import os
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

HOPS = 3  # redirects that are followed


class Split(object):
    """A URL's parts. Raises ValueError for one that cannot be asked."""

    def __init__(self, url: str) -> None:
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(url)
        self.scheme = parts.scheme.lower()
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.scheme == "https" else 80)
        self.path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        self.user = unquote(parts.username or "")
        self.password = unquote(parts.password or "")
        if self.scheme not in ("http", "https") or not self.host:
            raise ValueError("no http address")


def host_of(url: str) -> str:
    try:
        return Split(url).host
    except ValueError:
        return ""


def proxy_for(parts: "Split", setting: str) -> str:
    """The proxy pip would use: its own setting, else the environment's; "" for none."""
    if setting:
        return setting if "://" in setting else "http://" + setting
    import urllib.request

    # Not documented, but what pip's own requests falls back to; there since Python 3.4.
    bypass: "Any" = vars(urllib.request)["proxy_bypass_environment"]
    if bypass("%s:%d" % (parts.host, parts.port)) or bypass(parts.host):
        return ""
    proxies = urllib.request.getproxies_environment()
    found = str(proxies.get(parts.scheme) or proxies.get("all") or "")
    return found if not found or "://" in found else "http://" + found


def context_for(host: str, how: "Dict[str, Any]") -> "Any":
    """pip's TLS settings for a host: trusted hosts unverified, its bundle, the system's beside or in place of it."""
    import ssl

    trusted = [entry.partition(":")[0].lower() for entry in how["trusted_hosts"]]
    cert = how["cert"]
    place = {} if not cert else {"capath": cert} if os.path.isdir(cert) else {"cafile": cert}
    if place and how.get("system_store"):
        context = ssl.create_default_context()
        context.load_verify_locations(**place)
    else:
        context = ssl.create_default_context(**place)
    if how["client_cert"]:
        context.load_cert_chain(how["client_cert"])
    if host in trusted:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connect(host: str, port: int, until: float, found: "Dict[str, Any]") -> "Any":
    """A TCP connection to the first address that answers; else None, with the outcome in `found`."""
    import socket

    began = time.monotonic()
    try:
        addresses = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except socket.gaierror as error:
        found.update(outcome="no-name", detail=error.strerror or str(error))
        return None
    except UnicodeError as error:
        found.update(outcome="no-name", detail=str(error))
        return None
    found["resolve_s"] = round(time.monotonic() - began, 4)
    found["address"] = addresses[0][4][0]
    last = None
    began = time.monotonic()
    # Without IPv6 the first address is refused at once; the others are tried as pip would.
    for family, kind, protocol, _, place in addresses[:4]:
        left = until - time.monotonic()
        if left <= 0.05:
            break
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(left)
        try:
            connection.connect(place)
            found["connect_s"] = round(time.monotonic() - began, 4)
            found["address"] = place[0]
            return connection
        except OSError as error:
            last = error
            connection.close()
    _tell(found, last)
    return None


def _tell(found: "Dict[str, Any]", error: "Optional[BaseException]") -> None:
    """Why a connection did not come about."""
    import errno
    import socket

    number = getattr(error, "errno", None)
    if error is None or isinstance(error, socket.timeout):
        outcome = "timeout"
    elif isinstance(error, ConnectionRefusedError):
        outcome = "refused"
    elif isinstance(error, ConnectionResetError):
        outcome = "reset"
    elif number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL):
        outcome = "no-route"
    elif number == errno.ETIMEDOUT:
        outcome = "timeout"
    else:
        outcome = "failed"
    found.update(outcome=outcome, detail=str(error) if error else "")


def _receive_head(connection: "Any") -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        part = connection.recv(4096)
        if not part:
            break
        head += part
    return head


def through_proxy(proxy: str, parts: "Split", until: float, found: "Dict[str, Any]") -> "Any":
    """A connection to the proxy; for https a tunnel through it. None with the outcome in `found`."""
    found["proxy"] = proxy
    try:
        at = Split(proxy)
    except ValueError:
        found.update(outcome="proxy", detail="the proxy is no http address")
        return None
    connection = connect(at.host, at.port, until, found)
    if connection is None:
        found["detail"] = "%s: %s" % (found["outcome"], found.get("detail", ""))
        found["outcome"] = "proxy"
        return None
    if parts.scheme == "http":
        return connection
    head = "CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n" % (
        parts.host, parts.port, parts.host, parts.port, authorization("Proxy-Authorization", at),
    )  # fmt: skip
    try:
        connection.settimeout(max(0.05, until - time.monotonic()))
        connection.sendall(head.encode("latin-1"))
        said = _receive_head(connection).split(b"\r\n", 1)[0].decode("latin-1")
    except OSError as error:
        _tell(found, error)
        found.update(outcome="proxy", detail="%s: %s" % (found["outcome"], found["detail"]))
        connection.close()
        return None
    status = re.match(r"HTTP/\d\.\d (\d+)", said)
    if not status or status.group(1) != "200":
        found.update(
            outcome="proxy",
            detail=said[:200] or "closed the connection",
            proxy_status=int(status.group(1)) if status else 0,
        )
        connection.close()
        return None
    return connection


def authorization(header: str, parts: "Split") -> str:
    if not parts.user and not parts.password:
        return ""
    import base64

    word = base64.b64encode(("%s:%s" % (parts.user, parts.password)).encode("utf-8")).decode("ascii")
    return "%s: Basic %s\r\n" % (header, word)


def once(
    url: str, how: "Dict[str, Any]", agent: str, accept: str, most: int, until: float, byte_range: str
) -> "Dict[str, Any]":
    """One request without following redirects; see `fetch`."""
    found: "Dict[str, Any]" = {"outcome": "", "detail": "", "status": None}
    try:
        parts = Split(url)
    except ValueError as error:
        found.update(outcome="failed", detail=str(error))
        return found
    proxy = proxy_for(parts, how["proxy"])
    connection = through_proxy(proxy, parts, until, found) if proxy else connect(parts.host, parts.port, until, found)
    if connection is None:
        return found
    try:
        connection.settimeout(max(0.05, until - time.monotonic()))
        if parts.scheme == "https":
            connection = secure(connection, parts, how, found)
            if connection is None:
                return found
        exchange(connection, parts, proxy, agent, accept, most, until, byte_range, found)
    except OSError as error:
        _tell(found, error)
    finally:
        if connection is not None:
            connection.close()
    return found


def secure(connection: "Any", parts: "Split", how: "Dict[str, Any]", found: "Dict[str, Any]") -> "Any":
    """The connection under TLS; None with the outcome in `found`."""
    try:
        import ssl
    except ImportError as error:
        found.update(outcome="tls", detail=str(error))
        return None
    began = time.monotonic()
    try:
        context = context_for(parts.host, how)
    except (OSError, ValueError) as error:
        found.update(outcome="bad-bundle", detail=str(error))
        return None
    try:
        wrapped = context.wrap_socket(connection, server_hostname=parts.host)
    except ssl.SSLError as error:
        found.update(outcome="tls", detail=str(getattr(error, "verify_message", "") or error.reason or error))
        found["verify_code"] = getattr(error, "verify_code", None)
        connection.close()
        return None
    except (OSError, ValueError) as error:
        _tell(found, error)
        return None
    found["tls_s"] = round(time.monotonic() - began, 4)
    found["tls"] = wrapped.version() or ""
    return wrapped


def exchange(
    connection: "Any",
    parts: "Split",
    proxy: str,
    agent: str,
    accept: str,
    most: int,
    until: float,
    byte_range: str,
    found: "Dict[str, Any]",
) -> None:
    """Send the request and read at most `most` bytes of the answer's body."""
    import http.client

    place = parts.path
    extra = ""
    if proxy and parts.scheme == "http":
        place = "http://%s:%d%s" % (parts.host, parts.port, parts.path)
        extra = authorization("Proxy-Authorization", Split(proxy))
    usual = parts.port == (443 if parts.scheme == "https" else 80)
    host = "[%s]" % parts.host if ":" in parts.host else parts.host
    lines = [
        "GET %s HTTP/1.1" % place,
        "Host: %s" % (host if usual else "%s:%d" % (host, parts.port)),
        "User-Agent: " + agent,
        "Accept: " + accept,
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    if byte_range:
        lines.append("Range: " + byte_range)
    head = "\r\n".join(lines) + "\r\n" + extra + authorization("Authorization", parts) + "\r\n"
    began = time.monotonic()
    connection.sendall(head.encode("utf-8", "replace"))
    answer = http.client.HTTPResponse(connection, method="GET")
    try:
        answer.begin()
        found["first_byte_s"] = round(time.monotonic() - began, 4)
        found["status"] = answer.status
        found["location"] = answer.getheader("Location") or ""
        found["content_type"] = (answer.getheader("Content-Type") or "")[:200]
        body: "List[bytes]" = []
        left = most
        while left > 0 and time.monotonic() < until:
            part = answer.read(min(left, 16384))
            if not part:
                break
            body.append(part)
            left -= len(part)
        found["bytes"] = sum(len(part) for part in body)
        found["body"] = b"".join(body).decode("utf-8", "replace")
        found["outcome"] = "answered"
    except http.client.HTTPException as error:
        # Cut short by our own limit is no fault; a head that is no HTTP is.
        found.update(outcome="answered" if found["status"] else "not-http", detail=str(error)[:200])
    finally:
        answer.close()
    found["seconds"] = round(time.monotonic() - began, 4)


def fetch(
    url: str, how: "Dict[str, Any]", agent: str, accept: str, most: int, until: float, byte_range: str = ""
) -> "Dict[str, Any]":
    """Ask for a page and tell how far that went.

    Args:
        how: cert, client_cert, proxy, trusted_hosts as pip takes them.
        most: bytes of the body to read.
        until: time.monotonic() at which to give up.

    Returns:
        outcome: "answered", "no-name", "refused", "reset", "timeout", "no-route", "tls", "bad-bundle", "proxy",
        "not-http" or "failed"; status, body and more where they are known.
    """
    chain: "List[str]" = []
    found: "Dict[str, Any]" = {}
    for _ in range(HOPS + 1):
        found = once(url, how, agent, accept, most, until, byte_range)
        if found["status"] not in (301, 302, 303, 307, 308) or not found.get("location"):
            break
        from urllib.parse import urljoin

        url = urljoin(url, found["location"])
        chain.append(url)
    if chain:
        found["final_url"] = chain[-1]
    return found
