"""checks/pip_network.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.host import Host
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.network_settings import Bundle, NetworkSettings
from envdoctor.model import Missing
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.pip_configs import index, written

FILE = CHECKS / "pip_network.py"
TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
SSL, PROXY = {"pip-ssl": "error"}, {"pip-proxy": "error"}
BY_FILE = written(user="[global]\ncert = /etc/gone.pem")
GONE = "/home/ada/.config/pip/pip.conf:2"


def probed(option: str = "index-url", **answer: Any) -> IndexProbes:
    return IndexProbes((IndexProbe(option=option, url=TUNA, **answer),))


def bundles(name: str, **more: Any) -> NetworkSettings:
    return NetworkSettings(bundles=(Bundle(name, "/etc/gone.pem", **more),))


CASES = [
    Case("an unknown authority", (probed(outcome="tls", verify_code=20, detail="unable to get local issuer"),), SSL),
    Case("an unknown authority on Red Hat", (probed(outcome="tls", verify_code=19), Host(distribution="rocky")), SSL),
    Case("expired", (probed(outcome="tls", verify_code=10, detail="certificate has expired"),), SSL),
    Case("another name", (probed(outcome="tls", verify_code=62),), SSL),
    Case("TLS fails for another reason", (probed(outcome="tls", detail="WRONG_VERSION_NUMBER"),), SSL),
    Case("an extra index", (probed("extra-index-url", outcome="tls", verify_code=18),), {"pip-ssl": "warning"}),
    Case(
        "a bundle of PIP_CERT is gone",
        (bundles("PIP_CERT", exists=False), written(variables={"PIP_CERT": "/etc/gone.pem"})),
        SSL,
    ),
    Case("a bundle of a file is empty", (bundles(GONE), BY_FILE), SSL),
    Case("a bundle of requests is gone", (bundles("REQUESTS_CA_BUNDLE", exists=False), written()), SSL),
    Case(
        "a bundle does not load",
        (bundles(GONE, certificates=3), BY_FILE, probed(outcome="bad-bundle", detail="PEM lib")),
        SSL,
    ),
    Case("a dead proxy", (probed(outcome="proxy", proxy="http://p.example:3128", detail="refused"),), PROXY),
    Case(
        "a proxy that wants a login", (probed(outcome="proxy", proxy="http://p.example:3128", proxy_status=407),), PROXY
    ),
    Case("a proxy for an extra index", (probed("extra-index-url", outcome="proxy"),), {"pip-proxy": "warning"}),
    Case(
        "a bundle as it should be",
        (bundles("PIP_CERT", certificates=140), written(variables={"PIP_CERT": "/etc/gone.pem"})),
    ),
    Case(
        "a bundle of requests that hides pip's own setting", (bundles("REQUESTS_CA_BUNDLE", exists=False), BY_FILE), SSL
    ),
    Case("a bundle pip does not look at", (bundles("SSL_CERT_FILE", exists=False), written(user=index(TUNA)))),
    Case("an index that answers", (probed(outcome="answered", status=200, proxy="http://p.example:3128"),)),
    Case("not asked", (Missing("index-probes", "not-asked"), Missing("network-settings", "failed"))),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_commands() -> None:
    findings = {case.about: case.assert_holds(FILE)[0] for case in CASES if case.expect}
    commands = {about: finding.command or finding.look for about, finding in findings.items()}
    put = "python -m pip config --user set global.cert"
    assert commands["an unknown authority"] == f"{put} /etc/ssl/certs/ca-certificates.crt"
    assert commands["an unknown authority on Red Hat"] == f"{put} /etc/pki/tls/certs/ca-bundle.crt"
    assert commands["a bundle of PIP_CERT is gone"] == "unset PIP_CERT"
    assert commands["a bundle of a file is empty"] == "python -m pip config --user unset global.cert"
    assert commands["a bundle of requests is gone"] == "unset REQUESTS_CA_BUNDLE"
    assert commands["expired"] == "date"
