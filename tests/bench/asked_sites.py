"""What one site of this machine turns out to be when it is measured as a mirror."""

from __future__ import annotations

import pytest

from envdoctor.bench.mirrors import MirrorResult, measure
from envdoctor.bench.sites import Patient, Site
from envdoctor.facts.host import Host
from envdoctor.facts.pip import PipEffective, PipOptions
from envdoctor.facts.python import Python
from tests.bench import mirror_sites as lab
from tests.bench.mirror_sites import NEWEST, OLD, json_page

AGENT = 'pip/26.3 {"ci":null,"cpu":"x86_64"}'
FRESH = json_page(OLD, NEWEST)


def patient(**options: object) -> Patient:
    taken = PipOptions("install", **options)  # type: ignore[arg-type]
    return Patient(
        PipEffective("pip", "26.3", user_agent=AGENT, commands=(taken,)),
        python=Python(version="3.x", tag=lab.TAG, machine="x86_64"),
        host=Host(system="linux", machine="x86_64"),
    )


def asked(url: str, deadline_s: float = 4.0, known: bool = True, **options: object) -> MirrorResult:
    """The result of one site."""
    survey = measure(patient(**options), [Site("site", url, known=known)], deadline_s)
    return survey.results[0]


@pytest.fixture(autouse=True)
def no_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
