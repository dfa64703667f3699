"""envdoctor/bench/sites.py and pip_manner.py: who is asked, for what, and in which manner."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.bench import sites
from envdoctor.bench.pip_manner import Manner, manner
from envdoctor.bench.sites import Patient
from envdoctor.errors import UsageError
from envdoctor.facts.host import Host
from envdoctor.facts.pip import PipConfig, PipEffective, PipOptions
from envdoctor.facts.python import Python
from envdoctor.knowledge import mirrors
from envdoctor.model import Missing

OFFICIAL = "https://official.example/simple"
TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"


def patient(index_url: str = OFFICIAL, system: str = "linux", machine: str = "x86_64", **options: object) -> Patient:
    taken = PipOptions("install", index_url, **options)  # type: ignore[arg-type]
    return Patient(
        PipEffective("pip", "26.3", default_index=OFFICIAL, commands=(taken,)),
        python=Python(executable="/env/bin/python", version="3.12.1", tag="cp312", machine=machine),
        host=Host(system=system, machine=machine),
    )


def test_unless_told_otherwise_all_that_may_serve_are_asked_and_what_is_in_effect() -> None:
    asked = sites.sites(patient())
    names = [site.name for site in asked]
    assert {"tuna", "sjtug", "netease", "baidu", "official"} <= set(names)
    assert not {"douban", "jlu", "zju", "ustc-old"} & set(names)
    assert [site.name for site in asked if site.in_effect] == ["official"]
    assert len({site.url for site in asked}) == len(asked) == len(set(names))


def test_what_is_in_effect_is_a_mirror_a_dead_one_or_somebodys_own() -> None:
    in_effect = {
        url: next(site for site in sites.sites(patient(url)) if site.in_effect)
        for url in (f"{TUNA}/", "https://me:pw@pypi.douban.com/simple", "https://pip.corp.example:8443/api/simple")
    }
    assert [(site.name, site.known, site.status) for site in in_effect.values()] == [
        ("tuna", True, "ok"),
        ("pypi.douban.com", True, "dead"),
        ("pip.corp.example:8443", False, ""),
    ]
    assert next(site for site in in_effect.values() if site.name == "tuna").url == f"{TUNA}/"
    for url in ("file:///srv/wheels/simple", "https://[broken/simple", "http://x.example:99999/simple"):
        assert not any(site.in_effect for site in sites.sites(patient(url)))
    assert not any(site.in_effect for site in sites.sites(patient(no_index=True)))


def test_names_and_urls() -> None:
    of = patient(TUNA)
    asked = sites.sites(of, ["SJTUG", "official", "tuna", "tuna", TUNA], ["http://10.0.0.7:3141/root/pypi/+simple"])
    assert [site.name for site in asked] == ["sjtug", "official", "tuna", "10.0.0.7:3141"]
    assert [site.in_effect for site in asked] == [False, False, True, False]
    assert [site.fix for site in asked] == [
        "envdoctor fix pip-mirror --sjtug",
        "envdoctor fix pip-mirror --official",
        "envdoctor fix pip-mirror --tuna",
        "envdoctor fix pip-mirror --url http://10.0.0.7:3141/root/pypi/+simple",
    ]


@pytest.mark.parametrize("name", ["nope", "", "http://", "https://[broken", "file:///x"])
def test_what_names_no_index_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        sites.sites(patient(), [name])
    assert "\n" not in str(caught.value)


def test_without_pip_there_is_no_official_index_to_ask() -> None:
    of = sites.patient({"pip-effective": Missing("pip-effective", "not-here"), "host": Host(system="linux")})
    assert of.effective is None and of.official == "" and of.in_effect == ""
    assert "official" not in [site.name for site in sites.sites(of)]
    with pytest.raises(UsageError, match="known from the target's pip alone"):
        sites.sites(of, [mirrors.OFFICIAL])


@pytest.mark.parametrize(
    ("system", "machine", "cuda"),
    [("linux", "x86_64", True), ("windows", "AMD64", False), ("macos", "arm64", False)],
)
def test_what_is_fetched_depends_on_the_platform(system: str, machine: str, cuda: bool) -> None:
    need = sites.need(patient(system=system, machine=machine))
    assert need.cuda is cuda
    assert (need.total_bytes > 2e9) is cuda
    assert sites.need(patient(system=system, machine=machine), 123).wheel_bytes == 123


def test_an_unknown_target_is_taken_for_what_most_have() -> None:
    assert Patient().platform == ("cp312", "linux", "x86_64")
    assert patient(system="macos", machine="arm64").platform == ("cp312", "macos", "aarch64")


def test_the_manner_of_a_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    bundle = tmp_path / "_vendor" / "certifi" / "cacert.pem"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("")
    config = PipConfig(pip_folder=str(tmp_path))

    def of(version: str, minor: str, cert: str = "") -> tuple[str, bool]:
        taken = PipOptions("install", cert=cert, timeout=2.0)
        found = manner(PipEffective("pip", version, commands=(taken,)), config, Python(version=minor))
        assert found.timeout_s == 2.0 and found.user_agent == f"pip/{version}"
        return found.cert, found.system_store

    assert of("24.2", "3.12.1") == ("", True)
    assert of("24.1", "3.12.1") == (str(bundle), False)
    assert of("26.3", "3.9.18") == (str(bundle), False)
    assert of("24.1", "3.12.1", "/corp.pem") == ("/corp.pem", False)
    assert of("26.3", "3.12.1", "/corp.pem") == ("/corp.pem", True)
    monkeypatch.setenv("CURL_CA_BUNDLE", "/curl.pem")
    assert of("26.3", "3.12.1", "/corp.pem") == ("/curl.pem", True)
    assert manner(None, None, None) == Manner(cert="/curl.pem")


def test_the_short_name_says_nothing_of_the_machine() -> None:
    assert Manner('pip/26.3 {"ci":null}').short_agent == "pip/26.3"
