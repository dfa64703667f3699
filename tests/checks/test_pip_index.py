"""checks/pip_index.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.pip import PipEffective
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
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
    assert commands["no index chosen, torch to be installed"] == "getent hosts pypi.tuna.tsinghua.edu.cn && ip route"
    assert commands["one of two"] == "curl -sSI --max-time 5 https://x.example/simple"


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
