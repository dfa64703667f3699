"""patient/network_settings.py"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.network_settings import NetworkSettings
from envdoctor.patient import network_settings
from envdoctor.patient.sections import Ask


def test_bundles_and_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*network_settings.BUNDLES, *network_settings.PROXIES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n" * 2)
    monkeypatch.setenv("PIP_CERT", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "absent.pem"))
    monkeypatch.setenv("CONDA_SSL_VERIFY", "false")
    monkeypatch.setenv("https_proxy", "http://p.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    ask = Ask({})
    value = {"key": "cert", "value": str(bundle), "file": "/etc/pip.conf", "line": 3}
    ask.facts["pip-config"] = {"values": [value, {"key": "cert", "value": "x", "variable": "PIP_CERT"}]}
    fact = decode.fact("network-settings", json.loads(json.dumps(network_settings.network_settings(ask))))
    assert isinstance(fact, NetworkSettings)
    assert {found.name: (found.exists, found.certificates) for found in fact.bundles} == {
        "PIP_CERT": (True, 2),
        "CURL_CA_BUNDLE": (False, 0),
        "SSL_CERT_DIR": (True, 1),
        "/etc/pip.conf:3": (True, 2),
    }
    assert [(proxy.name, proxy.url) for proxy in fact.proxies] == [("https_proxy", "http://p.example:3128")]
    assert fact.no_proxy == "localhost"
