"""What the package indexes and conda channels in effect answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexProbe:
    """One index or channel that was asked, as pip would ask.

    Attributes:
        kind: "index" or "channel".
        option: "index-url", "extra-index-url" or "channels".
        url: as it is configured, credentials included.
        outcome: "answered"; or where it ended: "no-name" (the name does not resolve), "refused", "reset", "timeout",
            "no-route", "tls", "bad-bundle" (the certificate bundle cannot be loaded), "proxy", "not-http", "failed".
        detail: the error's own words.
        address: that was connected to; the proxy's where there is one.
        proxy: URL of the proxy that was used, empty for none; proxy_status is its answer to CONNECT.
        status: of HTTP, asked as pip, None without an answer; status_plain is the status for another User-Agent, asked
            only where pip was refused; status_platform is a channel's for the packages of this platform, None where
            it was not asked.
        final_url: where redirects led, empty without one.
        page: "index", "files", "other"; empty if there was none.
        newest: newest release of torch listed, empty if none is; `whole` says that the end
            of the page was seen.
        file_hosts: hosts the page's files come from, the commonest first.
        verify_code: OpenSSL's verdict on the certificate, None if it was not the certificate.
        resolve_s, connect_s, tls_s, first_byte_s, seconds: of each step; None if it was not reached.
    """

    kind: str = "index"
    option: str = ""
    url: str = ""
    outcome: str = ""
    detail: str = ""
    address: str = ""
    proxy: str = ""
    proxy_status: int | None = None
    status: int | None = None
    status_plain: int | None = None
    status_platform: int | None = None
    final_url: str = ""
    content_type: str = ""
    page: str = ""
    newest: str = ""
    whole: bool = False
    file_hosts: tuple[str, ...] = ()
    verify_code: int | None = None
    tls: str = ""
    bytes: int | None = None
    resolve_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    seconds: float | None = None

    @property
    def reached(self) -> bool:
        """An HTTP server answered."""
        return self.outcome == "answered"


@dataclass(frozen=True)
class IndexProbes:
    """All that was asked, at once and within three seconds. Missing where nothing over http is known, or --offline."""

    probes: tuple[IndexProbe, ...] = ()

    @property
    def indexes(self) -> tuple[IndexProbe, ...]:
        return tuple(probe for probe in self.probes if probe.kind == "index")

    def of(self, url: str) -> IndexProbe | None:
        """What an address answered; None if it was not asked."""
        return next((probe for probe in self.probes if probe.url == url), None)

    @property
    def channels(self) -> tuple[IndexProbe, ...]:
        return tuple(probe for probe in self.probes if probe.kind == "channel")


@dataclass(frozen=True)
class AskedPlaces(IndexProbes):
    """What addresses answered that a fix would write. Missing where none was asked, or --offline."""
