"""checks/pip_sources.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.pip_rules import is_plain, is_private, trusts
from envdoctor.facts.torch import TorchInstall
from envdoctor.testing import Case, checks_of, findings, topic_file
from tests import CHECKS
from tests.checks.pip_configs import index, written

FILE = CHECKS / "pip_sources.py"
ALIYUN = "https://mirrors.aliyun.com/pypi/simple/"
CPU = "https://download.pytorch.org/whl/cpu"
GPU = PciDevices((PciDevice("0000:1b:00.0", "0x10de", "0x2330", "0x030200", "gpu"),))

CASES = [
    Case("plain http, not trusted", (written(user=index("http://a.example/simple")),), {"pip-untrusted-host": "error"}),
    Case(
        "trusted-host as a URL",
        (written(user=index("http://a.example/simple", "trusted-host = http://a.example")),),
        {"pip-untrusted-host": "error"},
    ),
    Case(
        "an extra index over plain http",
        (written(user=index(ALIYUN, "extra-index-url = http://x.example/simple")),),
        {"pip-untrusted-host": "warning"},
    ),
    Case(
        "a known mirror over plain http",
        (written(user=index("http://mirrors.aliyun.com/pypi/simple/")),),
        {"pip-untrusted-host": "error"},
    ),
    Case(
        "a known mirror over plain http as an extra index",
        (written(user=index(ALIYUN, "extra-index-url = http://mirrors.huaweicloud.com/repository/pypi/simple")),),
        {"pip-untrusted-host": "warning"},
    ),
    Case(
        "plain http, trusted",
        (written(user=index("http://mirrors.aliyun.com/pypi/simple/", "trusted-host = mirrors.aliyun.com")),),
        {"pip-index-plain-http": "warning"},
    ),
    Case(
        "plain http inside a cloud",
        (
            written(
                user=index(
                    "http://mirrors.cloud.aliyuncs.com/pypi/simple/", "trusted-host = mirrors.cloud.aliyuncs.com"
                )
            ),
        ),
        {"pip-index-plain-http": "note"},
    ),
    Case(
        "plain http in a private network",
        (written(user=index("http://10.0.0.5:8081/simple", "trusted-host = 10.0.0.5")),),
        {"pip-index-plain-http": "note"},
    ),
    Case(
        "https, and trusted all the same",
        (written(user=index(ALIYUN, "trusted-host = mirrors.aliyun.com")),),
        {"pip-insecure-trusted-host": "warning"},
    ),
    Case(
        "https of one's own, trusted",
        (written(user=index("https://nexus.internal/simple", "trusted-host = nexus.internal other")),),
        {"pip-insecure-trusted-host": "note"},
    ),
    Case("cpu wheels beside a GPU", (written(variables={"PIP_EXTRA_INDEX_URL": CPU}), GPU), {"pip-cpu-index": "error"}),
    Case(
        "cpu wheels, a CUDA torch there",
        (written(user=index(CPU)), Gpus(count=8), TorchInstall(cuda="12.6")),
        {"pip-cpu-index": "warning"},
    ),
    Case("douban", (written(user=index("https://pypi.douban.com/simple")),), {"pip-mirror-dead": "error"}),
    Case(
        "douban as an extra index",
        (written(user=index(ALIYUN, "extra-index-url = https://pypi.doubanio.com/simple https://x.example/simple")),),
        {"pip-mirror-dead": "warning"},
    ),
    Case(
        "the old recipe: douban, http, trusted",
        (written(user=index("http://pypi.douban.com/simple/", "trusted-host = pypi.douban.com")),),
        {"pip-mirror-dead": "error", "pip-index-plain-http": "warning"},
    ),
    Case("a mirror over https", (written(user=index(ALIYUN)), GPU)),
    Case("cpu wheels without a GPU", (written(user=index(CPU)), Gpus(count=0))),
    Case("an index on this machine", (written(user=index("http://127.0.0.1:3141/root/pypi/+simple/")),)),
    Case("files on disk", (written(user=index("file:///srv/simple", "find-links = /srv/wheels")),)),
    Case("a trusted host nobody asks", (written(user=index(ALIYUN, "trusted-host = pypi.douban.com")),)),
    Case("no-index asks none of them", (written(user=index("http://pypi.douban.com/simple", "no-index = yes")), GPU)),
    Case("nothing written", (written(), GPU)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_commands() -> None:
    commands = {(case.about, finding.code): finding.command for case in CASES for finding in case.assert_holds(FILE)}
    config = "python -m pip config --user"
    assert commands["plain http, not trusted", "pip-untrusted-host"] == f"{config} set global.trusted-host a.example"
    assert commands["trusted-host as a URL", "pip-untrusted-host"] == f"{config} set global.trusted-host a.example"
    better = "envdoctor fix pip-mirror --aliyun"
    assert commands["a known mirror over plain http", "pip-untrusted-host"] == better
    assert commands["plain http, trusted", "pip-index-plain-http"] == better
    assert commands["a known mirror over plain http as an extra index", "pip-untrusted-host"] == (
        f"{config} set global.extra-index-url https://mirrors.huaweicloud.com/repository/pypi/simple"
    )
    assert commands["https, and trusted all the same", "pip-insecure-trusted-host"] == better
    assert (
        commands["https of one's own, trusted", "pip-insecure-trusted-host"]
        == f"{config} set global.trusted-host other"
    )
    assert commands["cpu wheels beside a GPU", "pip-cpu-index"] == "unset PIP_EXTRA_INDEX_URL"
    assert commands["douban", "pip-mirror-dead"] == better
    assert (
        commands["douban as an extra index", "pip-mirror-dead"]
        == f"{config} set global.extra-index-url https://x.example/simple"
    )


HTTP_ALIYUN = "http://mirrors.aliyun.com/pypi/simple/"
DEAD = "https://pypi.douban.com/simple"
HUAWEI, TO_ALIYUN = ("pip-mirror", "--huawei"), ("pip-mirror", "--aliyun")
REFUSES = {"outcome": "answered", "status": 403, "status_plain": 200}
BEHIND = {"outcome": "answered", "status": 200, "page": "index", "newest": "2.0.0", "whole": True}
CRAWLS = {"outcome": "answered", "status": 200, "page": "index", "first_byte_s": 3.0}
BELOW = {**CRAWLS, "first_byte_s": 0.1, "file_hosts": ("files.example.net",)}


@pytest.mark.parametrize(
    ("url", "hosts", "answer", "codes", "fix"),
    [
        (HTTP_ALIYUN, "mirrors.aliyun.com", {"outcome": "timeout"}, {"pip-index-plain-http"}, HUAWEI),
        (HTTP_ALIYUN, "mirrors.aliyun.com", REFUSES, {"pip-index-plain-http"}, HUAWEI),
        (HTTP_ALIYUN, "mirrors.aliyun.com", BEHIND, {"pip-index-plain-http"}, HUAWEI),
        (HTTP_ALIYUN, "mirrors.aliyun.com", CRAWLS, {"pip-index-plain-http"}, HUAWEI),
        (HTTP_ALIYUN, "mirrors.aliyun.com", BELOW, {"pip-index-plain-http"}, HUAWEI),
        (HTTP_ALIYUN, "x.example", {"outcome": "refused"}, {"pip-untrusted-host"}, HUAWEI),
        (ALIYUN, "mirrors.aliyun.com", {"outcome": "reset"}, {"pip-insecure-trusted-host"}, HUAWEI),
        ("http://a.example/simple", "a.example", {"outcome": "reset"}, {"pip-index-plain-http"}, TO_ALIYUN),
        ("http://a.example/simple", "b.example", {"outcome": "reset"}, {"pip-untrusted-host"}, TO_ALIYUN),
        ("https://a.example/simple", "a.example", {"outcome": "reset"}, {"pip-insecure-trusted-host"}, TO_ALIYUN),
        (DEAD, "pypi.douban.com", {"outcome": "no-name"}, {"pip-insecure-trusted-host", "pip-mirror-dead"}, TO_ALIYUN),
        (
            "http://pypi.douban.com/simple",
            "pypi.douban.com",
            {},
            {"pip-index-plain-http", "pip-mirror-dead"},
            TO_ALIYUN,
        ),
        (
            "http://mirrors.aliyun.com/pypi",
            "mirrors.aliyun.com",
            {"outcome": "reset"},
            {"pip-index-plain-http"},
            HUAWEI,
        ),
        ("http://pypi.mirrors.ustc.edu.cn/simple", "b.example", {}, {"pip-untrusted-host"}, ("pip-mirror", "--ustc")),
        # Another mirror is no better where this machine has no way out: the one that was meant stays, over https.
        (HTTP_ALIYUN, "mirrors.aliyun.com", {"outcome": "no-route"}, {"pip-index-plain-http"}, TO_ALIYUN),
        (HTTP_ALIYUN, "mirrors.aliyun.com", {"outcome": "no-name"}, {"pip-index-plain-http"}, TO_ALIYUN),
    ],
)
def test_all_that_is_found_about_an_index_is_mended_by_one_command(
    url: str, hosts: str, answer: dict[str, Any], codes: set[str], fix: tuple[str, ...]
) -> None:
    """What the four files about pip find of it: two remedies would undo each other."""
    config = written(user=index(url, f"trusted-host = {hosts}"))
    probes = IndexProbes((IndexProbe(option="index-url", url=url, **answer),))
    checks = [
        one for name in ("pip", "pip_sources", "pip_index") for one in checks_of(topic_file(CHECKS / f"{name}.py"))
    ]
    found = [one for one in findings(tuple(checks), config, probes) if one.command]
    assert codes <= {one.code for one in found}
    assert {one.fix for one in found} == {fix}


def test_an_extra_index_that_is_gone_is_left_out_whatever_else_it_is() -> None:
    extra = "extra-index-url = http://pypi.douban.com/simple https://x.example/simple"
    config = written(user=index(ALIYUN, extra, "trusted-host = pypi.douban.com"))
    found = findings(checks_of(topic_file(FILE)), config)
    assert {one.code for one in found} == {"pip-mirror-dead", "pip-index-plain-http"}
    assert {one.command for one in found} == {
        "python -m pip config --user set global.extra-index-url https://x.example/simple"
    }


def test_a_trusted_host_beside_an_index_of_the_shell_is_taken_away() -> None:
    config = written(user="[global]\ntrusted-host = mirrors.aliyun.com", variables={"PIP_INDEX_URL": ALIYUN})
    (finding,) = Case("", (config,), {"pip-insecure-trusted-host": "warning"}).assert_holds(FILE)
    assert finding.command == "python -m pip config --user unset global.trusted-host"


@pytest.mark.parametrize(
    ("url", "hosts", "expected"),
    [
        ("http://a.example/simple", ("A.example",), True),
        ("http://a.example:8080/simple", ("a.example:8080",), True),
        ("http://a.example:8080/simple", ("a.example:80",), False),
        ("http://a.example/simple", ("http://a.example",), False),
        ("http://[::1]:80/simple", ("[::1]",), True),
        ("http://10.1.2.3/simple", ("10.0.0.0/8",), False),
        ("http://a.example/simple", ("a.example/simple",), True),
        ("http://[fe80::1]/simple", ("fe80::1",), True),
        ("http://a.example/simple", ("10.0.0.0/8",), False),
        ("http://a.example:port/simple", ("a.example",), False),
    ],
)
def test_trusts_as_pip_does(url: str, hosts: tuple[str, ...], expected: bool) -> None:
    """The expectations are checked against pip's own PipSession in test_pip_rules_agree_with_pip."""
    assert trusts(url, hosts) is expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what pip brings along
def test_pip_rules_agree_with_pip() -> None:
    """pip's own verdict on origins: secure, or trusted by name."""
    session_module = pytest.importorskip("pip._internal.network.session")
    from pip._internal.models.link import Link

    for url in ("http://a.example/s", "http://a.example:8080/s", "https://a.example/s", "http://localhost:1/s", "http://127.3.2.1/s",
                "http://[::1]:80/s", "http://10.1.2.3/s", "file:///srv/s"):  # fmt: skip
        for hosts in (
            (),
            ("A.example",),
            ("a.example:8080",),
            ("10.0.0.0/8",),
            ("http://a.example",),
            ("[::1]",),
            ("a.example/s",),
        ):
            session = session_module.PipSession(trusted_hosts=hosts)
            accepted = not is_plain(url) or trusts(url, hosts)
            assert session.is_secure_origin(Link(url)) is accepted, (url, hosts)


def test_private_hosts() -> None:
    assert is_private("http://nexus/simple") and is_private("http://192.168.3.4/simple") and is_private("http://x.svc/")
    assert not is_private("https://mirrors.aliyun.com/pypi/simple")
