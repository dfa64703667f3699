"""checks/pip_index.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.names import NameResolution, Resolution
from envdoctor.facts.pip import PipEffective
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, checks_of, findings, topic_file
from tests import CHECKS
from tests.checks.pip_configs import index, written

FILE = CHECKS / "pip_index.py"
TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
ALIYUN = "https://mirrors.aliyun.com/pypi/simple"
CHOSEN = written(user=index(TUNA))
OK: dict[str, Any] = {
    "outcome": "answered", "status": 200, "page": "index", "newest": "99.0", "whole": True,
    "file_hosts": ("pypi.tuna.tsinghua.edu.cn",), "connect_s": 0.01, "tls_s": 0.02, "first_byte_s": 0.03,
}  # fmt: skip


def probed(url: str = TUNA, option: str = "index-url", **answer: Any) -> IndexProbe:
    return IndexProbe(option=option, url=url, **answer)


def probes(*found: IndexProbe) -> IndexProbes:
    return IndexProbes(found)


UNREACHABLE = {"pip-index-unreachable": "error"}
UNREACHED = {"pip-index-unreachable": "warning"}
GOOD = probed(**OK)

CASES = [
    Case(
        "the name does not resolve",
        (probes(probed(outcome="no-name", detail="Name or service not known")), CHOSEN),
        UNREACHABLE,
    ),
    Case("refused", (probes(probed(outcome="refused", detail="Connection refused")), CHOSEN), UNREACHABLE),
    Case("dropped", (probes(probed(outcome="timeout", address="10.0.0.1")), CHOSEN), UNREACHABLE),
    Case("the server fails", (probes(probed(outcome="answered", status=503)), CHOSEN), UNREACHABLE),
    Case("a portal", (probes(probed(**{**OK, "page": "other", "newest": "", "file_hosts": ()})), CHOSEN), UNREACHABLE),
    Case("no index chosen, torch to be installed", (probes(probed(outcome="no-route")), written()), UNREACHABLE),
    Case(
        "a cloud's inner host from outside",
        (
            probes(probed("http://mirrors.cloud.aliyuncs.com/pypi/simple", outcome="no-name")),
            written(user=index("http://mirrors.cloud.aliyuncs.com/pypi/simple")),
        ),
        UNREACHABLE,
    ),
    Case(
        "a machine that is meant to be offline",
        (probes(probed(outcome="no-name")), written(), TorchInstall("/t", "2.9.1")),
        {"pip-index-unreachable": "note"},
    ),
    Case(
        "a compute node without a way out",
        (probes(probed(outcome="timeout")), CHOSEN, Host(scheduler=Scheduler("slurm", "7", "SLURM_JOB_ID"))),
        UNREACHED,
    ),
    Case(
        "a compute node that has all it needs",
        (
            probes(probed(outcome="timeout")),
            CHOSEN,
            Host(scheduler=Scheduler("slurm", "7", "")),
            TorchInstall("/t", "2.9.1"),
        ),
        {"pip-index-unreachable": "note"},
    ),
    Case(
        "one of two",
        (probes(GOOD, probed("https://x.example/simple", "extra-index-url", outcome="refused")), CHOSEN),
        UNREACHED,
    ),
    Case(
        "a firewall against pip",
        (probes(probed(outcome="answered", status=403, status_plain=200)), CHOSEN),
        {"pip-mirror-blocked": "error"},
    ),
    Case(
        "a firewall at an extra index",
        (probes(GOOD, probed(option="extra-index-url", outcome="answered", status=403, status_plain=200)), CHOSEN),
        {"pip-mirror-blocked": "warning"},
    ),
    Case(
        "a mirror of the list alone",
        (probes(probed(**{**OK, "file_hosts": ("files.example.net",)})),),
        {"pip-mirror-foreign-links": "warning"},
    ),
    Case(
        "an index of one's own with a store elsewhere",
        (probes(probed("https://nexus.example/simple", **{**OK, "file_hosts": ("store.example.net",)})),),
        {"pip-mirror-foreign-links": "note"},
    ),
    Case(
        "a mirror that is behind", (probes(probed(**{**OK, "newest": "2.3.0"})), CHOSEN), {"pip-index-stale": "warning"}
    ),
    Case("a slow one", (probes(probed(**{**OK, "first_byte_s": 2.5})), CHOSEN), {"pip-index-slow": "warning"}),
    Case("a mirror as it should be", (probes(GOOD), CHOSEN)),
    Case("files on a sister host", (probes(probed("https://mirrors.tuna.tsinghua.edu.cn/pypi/web/simple", **OK)),)),
    Case(
        "the default index and its own file host",
        (
            probes(probed("https://index.example/simple", **{**OK, "file_hosts": ("files.example.net",)})),
            PipEffective(default_index="https://index.example/simple"),
        ),
    ),
    Case("a long page whose end was not seen", (probes(probed(**{**OK, "newest": "2.3.0", "whole": False})),)),
    Case(
        "an extra index of few releases", (probes(GOOD, probed(option="extra-index-url", **{**OK, "newest": "2.1.0"})),)
    ),
    Case(
        "refused to everyone: a login, not a firewall",
        (probes(probed(outcome="answered", status=401, status_plain=401)),),
    ),
    Case(
        "a mirror known to be dead is said elsewhere",
        (probes(probed("https://pypi.douban.com/simple", outcome="no-name")),),
    ),
    Case("not asked", (Missing("index-probes", "not-asked"), CHOSEN)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_another_mirror_is_proposed() -> None:
    commands = {case.about: case.assert_holds(FILE)[0].command for case in CASES if case.expect}
    assert commands["a firewall against pip"] == "envdoctor fix pip-mirror --aliyun"
    assert commands["a cloud's inner host from outside"] == "envdoctor fix pip-mirror --aliyun"


def test_what_only_looks_is_no_command_that_mends() -> None:
    found = {case.about: case.assert_holds(FILE)[0] for case in CASES if case.expect}
    for about, look in (
        ("no index chosen, torch to be installed", "ip route; env | grep -i _proxy"),
        ("one of two", "curl -sSI --max-time 5 https://x.example/simple"),
        (
            "the name does not resolve",
            "getent hosts pypi.tuna.tsinghua.edu.cn; cat /etc/resolv.conf; env | grep -i _proxy",
        ),
    ):
        assert (found[about].command, found[about].look) == (None, look)


def test_the_look_holds_no_credentials() -> None:
    private = probed("https://ada:s3cret@x.example/simple?a=1&b=2", "extra-index-url", outcome="refused")
    (finding,) = Case("", (probes(GOOD, private), CHOSEN), UNREACHED).assert_holds(FILE)
    assert (finding.command, finding.look) == (None, "curl -sSI --max-time 5 'https://x.example/simple?a=1&b=2'")


NO_NAME: dict[str, Any] = {"outcome": "no-name", "detail": "Name or service not known"}
EXTRA = "https://x.example/simple"


def answered(name: str, address: str, **more: Any) -> NameResolution:
    return NameResolution((Resolution(name=name, ipv4=(address,), **more),))


@pytest.mark.parametrize(
    ("about", "facts", "mirror"),
    [
        ("the only name", (probes(probed(**NO_NAME)),), False),
        (
            "a resolver that gave up",
            (probes(probed(outcome="no-name", detail="Temporary failure in name res")),),
            False,
        ),
        ("every name", (probes(probed(**NO_NAME), probed(EXTRA, "extra-index-url", **NO_NAME)),), False),
        ("another name answers", (probes(probed(**NO_NAME), probed(EXTRA, "extra-index-url", **OK)),), True),
        (
            "another name has an address",
            (probes(probed(**NO_NAME), probed(EXTRA, "extra-index-url", outcome="refused", address="1.1.1.1")),),
            True,
        ),
        (
            "the cluster's own index is found",
            (probes(probed(**NO_NAME), probed(EXTRA, "extra-index-url", **OK, address="10.0.0.9")),),
            False,
        ),
        (
            "an index by its address",
            (probes(probed(**NO_NAME), probed("http://1.1.1.1/simple", "extra-index-url", **OK, address="1.1.1.1")),),
            False,
        ),
        (
            "what a proxy looked up",
            (probes(probed(**NO_NAME), probed(EXTRA, "extra-index-url", **OK, proxy="http://p", address="1.1.1.1")),),
            False,
        ),
        ("a public rendezvous", (probes(probed(**NO_NAME)), answered("m.example", "1.1.1.1")), True),
        ("a node of the cluster", (probes(probed(**NO_NAME)), answered("node1", "10.0.0.1")), False),
        ("an address for a name", (probes(probed(**NO_NAME)), answered("1.1.1.1", "1.1.1.1")), False),
        ("this machine itself", (probes(probed(**NO_NAME)), answered("here", "1.1.1.1", own=True)), False),
    ],
)
def test_a_resolver_that_finds_no_name_is_no_fault_of_the_mirror(
    about: str, facts: tuple[object, ...], mirror: bool
) -> None:
    found = findings(checks_of(topic_file(FILE)), *facts, CHOSEN)
    (finding,) = [one for one in found if one.code == "pip-index-unreachable" and one.evidence["option"] == "index-url"]
    if mirror:
        assert finding.command == "envdoctor fix pip-mirror --aliyun", about
    else:
        assert finding.command is None and finding.situation == "no-names", about
        assert "resolv.conf" in (finding.look or "")


def test_a_clouds_inner_name_says_nothing_of_the_resolver_unless_others_fail_too() -> None:
    inner = "http://mirrors.cloud.aliyuncs.com/pypi/simple"
    both = probes(probed(inner, **NO_NAME), probed(EXTRA, "extra-index-url", **NO_NAME))
    for asked, fix in ((probes(probed(inner, **NO_NAME)), ("pip-mirror", "--aliyun")), (both, ())):
        found = findings(checks_of(topic_file(FILE)), asked, written(user=index(inner)))
        assert {one.fix for one in found if one.evidence["option"] == "index-url"} == {fix}


def test_the_mirror_that_fails_is_not_proposed() -> None:
    case = Case("", (probes(probed(ALIYUN, outcome="refused")), written(user=index(ALIYUN))), UNREACHABLE)
    (finding,) = case.assert_holds(FILE)
    assert finding.fix == ("pip-mirror", "--huawei")


def test_no_file_mends_what_a_variable_says() -> None:
    chosen = written(variables={"PIP_INDEX_URL": TUNA})
    case = Case("", (probes(probed(outcome="refused")), chosen), UNREACHABLE)
    (finding,) = case.assert_holds(FILE)
    assert finding.fix == () and finding.command == f"export PIP_INDEX_URL={ALIYUN}"


def test_a_mirror_whose_files_lie_elsewhere_has_a_remedy() -> None:
    elsewhere = probes(probed(**{**OK, "file_hosts": ("files.example",)}))
    case = Case("", (elsewhere, CHOSEN), {"pip-mirror-foreign-links": "warning"})
    (finding,) = case.assert_holds(FILE)
    assert finding.fix == ("pip-mirror", "--aliyun")


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (GOOD, "pypi.tuna.tsinghua.edu.cn answers in 0.06 s, torch up to 99.0"),
        (probed(**{**OK, "whole": False}), "pypi.tuna.tsinghua.edu.cn answers in 0.06 s"),
        (probed(outcome="refused"), "pypi.tuna.tsinghua.edu.cn: refused"),
        (probed(outcome="answered", status=404), "pypi.tuna.tsinghua.edu.cn: HTTP 404"),
    ],
)
def test_summary(probe: IndexProbe, expected: str) -> None:
    file = topic_file(FILE)
    assert file.summary is not None
    told = file.summary.line(probes(probe))
    assert told is not None and told[0].say("en", told[1]) == expected
    assert file.summary.line(probes()) is None
