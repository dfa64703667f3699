"""envdoctor/bench/pip_session.py and pip_manner.py: TLS, trust and proxies are as pip is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from envdoctor.bench.pip_manner import Manner
from tests import needs
from tests.bench import mirror_sites as lab
from tests.bench.asked_sites import FRESH, asked, no_bundles
from tests.bench.mirror_sites import behaving, index
from tests.patient.index_servers import no_proxy

__all__ = ["no_bundles", "no_proxy"]  # fixtures of every test here


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, Path]]:
    """A private authority, and a certificate of it with its key."""
    openssl, folder = needs.program("openssl"), tmp_path_factory.mktemp("ca")
    return lab.authority(openssl, folder), lab.certificate(openssl, folder)


def test_the_certificate_setting_of_pip_is_honoured(tls: tuple[Path, tuple[Path, Path]]) -> None:
    ca, keys = tls
    with behaving(index(FRESH), keys) as url:
        assert asked(url).reasons == ("tls",)
        assert asked(url, cert=str(ca)).state == "usable"
        assert asked(url, cert=str(ca) + ".gone").reasons == ("bad-bundle",)
        trusted = asked(url, trusted_hosts=("127.0.0.1",))
        assert (trusted.state, trusted.reasons) == ("usable", ())
        port = url.rpartition(":")[2].partition("/")[0]
        assert asked(url, trusted_hosts=(f"127.0.0.1:{port}",)).state == "usable"
        assert asked(url, trusted_hosts=("127.0.0.1:1",)).reasons == ("tls",)


def test_a_certificate_for_another_name_does_not_verify(tmp_path: Path) -> None:
    openssl = needs.program("openssl")
    ca = lab.authority(openssl, tmp_path)
    with behaving(index(FRESH), lab.certificate(openssl, tmp_path, names="DNS:localhost")) as url:
        assert asked(url, cert=str(ca)).reasons == ("tls",)
        assert asked(url.replace("127.0.0.1", "localhost"), cert=str(ca)).state == "usable"


def test_the_bundle_of_the_environment_is_honoured(
    tls: tuple[Path, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ca, keys = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    with behaving(index(FRESH), keys) as url, behaving(index(FRESH)) as plain:
        assert asked(url).state == "usable"
        assert asked(url, cert="/no/such/bundle.pem").state == "usable", "the variable wins, as in pip"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        assert asked(url, cert=str(ca)).reasons == ("bad-bundle",)
        assert asked(url, trusted_hosts=("127.0.0.1",)).state == "usable"
        assert asked(plain).state == "usable"


def test_the_client_certificate_of_pip_is_shown(tls: tuple[Path, tuple[Path, Path]], tmp_path: Path) -> None:
    ca, keys = tls
    both = tmp_path / "client.pem"
    both.write_text(keys[0].read_text() + keys[1].read_text())
    with behaving(index(FRESH), keys, clients_of=ca) as url:
        assert asked(url, cert=str(ca)).state == "unusable"
        assert asked(url, cert=str(ca), client_cert=str(both)).state == "usable"
        broken = asked(url, cert=str(ca), client_cert=str(ca))
    assert broken.reasons == ("bad-bundle",) and str(ca) in broken.detail


@contextlib.contextmanager
def proxying(seen: list[str]) -> Iterator[str]:
    """A proxy that answers for every host of http itself, as if it had passed the request on."""

    def do(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        handler.path = "/" + handler.path.split("/", 3)[3]
        index(FRESH)(handler)

    with behaving(do) as url:
        yield url.removesuffix("/simple")


def test_the_proxy_setting_of_pip_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    with proxying(seen) as proxy:
        result = asked("http://mirror.invalid/simple", proxy=proxy, trusted_hosts=("mirror.invalid",))
        assert (result.state, result.proxy) == ("usable", proxy)
        assert seen[0] == "http://mirror.invalid/simple/torch/"
        monkeypatch.setenv("http_proxy", proxy)
        assert asked("http://mirror.invalid/simple", trusted_hosts=("mirror.invalid",)).state == "usable"
        monkeypatch.setenv("no_proxy", "mirror.invalid")
        assert asked("http://mirror.invalid/simple").reasons == ("no-name",)
    with lab.refusing() as closed:
        dead = asked("http://mirror.invalid/simple", proxy=closed.removesuffix("/simple"))
    assert dead.reasons == ("proxy",)


def test_plain_http_from_elsewhere_is_what_pip_leaves_out() -> None:
    assert Manner().ignores("http://mirrors.aliyun.com/pypi/simple")
    assert not Manner(trusted_hosts=("mirrors.aliyun.com",)).ignores("http://mirrors.aliyun.com/pypi/simple")
    assert not Manner().ignores("http://127.0.0.1:3141/simple")
    assert not Manner().ignores("https://mirrors.aliyun.com/pypi/simple")
    with proxying([]) as proxy:
        result = asked("http://mirror.invalid/simple", proxy=proxy)
    assert (result.state, result.reasons) == ("limited", ("plain-http",))
