"""patient/index_probe.py against servers with certificates good and bad."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from envdoctor.patient import index_probe
from tests import needs
from tests.patient.index_servers import listing, no_proxy, page, probe, serving

__all__ = ["no_proxy"]  # a fixture of every test here


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private authority, a certificate of it for 127.0.0.1, one for another name and one that has expired."""
    openssl = needs.program("openssl")
    folder = tmp_path_factory.mktemp("ca")

    def run(*argv: str) -> None:
        subprocess.run([openssl, *argv], cwd=folder, check=True, capture_output=True)

    authority = "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"
    extensions = [word for extension in authority for word in ("-addext", extension)]
    key = ["-newkey", "rsa:2048", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=lab ca", *extensions)
    for name, alternative, days in (
        ("good", "IP:127.0.0.1", "1"),
        ("other", "DNS:other.example", "1"),
        ("expired", "IP:127.0.0.1", "-1"),
    ):
        run(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            f"/CN={name}",
        )
        (folder / "ext").write_text(f"subjectAltName={alternative}\n")
        dates = ["-days", days] if days != "-1" else ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
        try:
            run(
                "x509",
                "-req",
                "-in",
                f"{name}.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-out",
                f"{name}.pem",
                "-extfile",
                "ext",
                *dates,
            )
        except subprocess.CalledProcessError:
            # Before OpenSSL 3.4 a past end is asked for as a negative number of days.
            run(
                "x509",
                "-req",
                "-in",
                f"{name}.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-out",
                f"{name}.pem",
                "-extfile",
                "ext",
                "-days",
                "-1",
            )
    return folder


def tls(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


@pytest.mark.parametrize(
    ("name", "code"),
    [("good", None), ("other", 64), ("expired", 10)],
)
def test_certificates_are_verified_with_the_bundle_in_effect(certificates: Path, name: str, code: int | None) -> None:
    with serving(page(listing("2.9.1")), tls(certificates, name)) as port:
        found = probe(f"https://127.0.0.1:{port}/simple", cert=str(certificates / "ca.pem"))
        unverified = probe(f"https://127.0.0.1:{port}/simple", trusted_hosts=["127.0.0.1"])
    assert (found.outcome, found.verify_code) == ("answered" if code is None else "tls", code)
    assert unverified.outcome == "answered"


def test_an_unknown_authority(certificates: Path) -> None:
    with serving(page(listing("2.9.1")), tls(certificates, "good")) as port:
        found = probe(f"https://127.0.0.1:{port}/simple")
    assert (found.outcome, found.verify_code) == ("tls", 20)
    assert "issuer" in found.detail


def test_a_bundle_that_is_none(tmp_path: Path) -> None:
    with serving(page(b"")) as port:
        assert probe(f"https://127.0.0.1:{port}/simple", cert=str(tmp_path / "absent.pem")).outcome == "bad-bundle"


def test_the_variables_of_requests_win_over_pips_own_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {
        "pip-config": {"pip_version": "26.3", "pip_folder": ""},
        "pip-effective": {"commands": [{"command": "install", "cert": "/etc/own.pem"}]},
    }
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert index_probe.settings(facts)["cert"] == "/etc/own.pem"
    monkeypatch.setenv("CURL_CA_BUNDLE", "/etc/curl.pem")
    assert index_probe.settings(facts)["cert"] == "/etc/curl.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/requests.pem")
    assert index_probe.settings(facts)["cert"] == "/etc/requests.pem"


def test_the_systems_store_stands_beside_a_bundle(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip 24.2 and newer have it: what either knows is verified."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    elsewhere = str(certificates / "other.pem")
    with serving(page(listing("2.9.1")), tls(certificates, "good")) as port:
        alone = probe(f"https://127.0.0.1:{port}/simple", cert=elsewhere)
        beside = probe(f"https://127.0.0.1:{port}/simple", cert=elsewhere, system_store=True)
    assert (alone.outcome, beside.outcome) == ("tls", "answered")
