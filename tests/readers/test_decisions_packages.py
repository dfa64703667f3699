"""envdoctor/readers/decisions/packages.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes

NONE = "ERROR: Could not find a version that satisfies the requirement {} (from versions: none)\n"
MATCH = "ERROR: No matching distribution found for {}\n"
RETRY = (
    "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor."
    "urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new connection: [Errno -3] Temporary "
    "failure in name resolution')': /simple/torch/\n"
)
SSL = RETRY.replace("NewConnectionError", "SSLError").replace(
    "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
)


@pytest.mark.parametrize("requirement", ["torch", "torch==2.3.0", "torch==2.1.2+cu118", "torchvision>=0.15"])
def test_no_torch_at_all_is_no_torch_for_this_python(requirement: str) -> None:
    found = codes(NONE.format(requirement) + MATCH.format(requirement))
    assert next(iter(found.items())) == ("python-unsupported", "error")


def test_of_other_packages_the_index_is_suspected_and_no_more() -> None:
    assert codes(NONE.format("apex==0.1")) == {"pip-index-unreachable": "warning"}


@pytest.mark.parametrize(("before", "code"), [(RETRY, "pip-index-unreachable"), (SSL, "pip-ssl")])
def test_what_broke_the_connection_comes_first(before: str, code: str) -> None:
    text = before * 5 + NONE.format("torch==2.1.2+cu118") + MATCH.format("torch==2.1.2+cu118")
    assert next(iter(codes(text))) == code


def test_a_name_that_pip_could_not_resolve_is_no_nodes() -> None:
    assert "hostname-unresolvable" not in codes(RETRY)
    assert "hostname-unresolvable" in codes("socket.gaierror: [Errno -2] Name or service not known\n")


LINKS = "Looking in links: https://download.pytorch.org/whl/torch_stable.html\n"
NO_VERSION = "ERROR: Could not find a version that satisfies the requirement torch==1.8.1+cu111 (from versions: {})\n"
NO_MATCH = "ERROR: No matching distribution found for torch==1.8.1+cu111\n"


@pytest.mark.parametrize(
    ("before", "offered", "found"),
    [
        ("", "2.2.0+cu121, 2.3.0+cu121", ["python-unsupported"]),
        (LINKS, "0.1.2, 0.1.2.post1", ["python-unsupported"]),
        ("", "1.7.1, 1.8.0, 1.8.1, 1.9.0", ["pip-config-broken"]),
        (LINKS, "1.7.1+cu110, 1.8.1+cu102, 1.9.0+cu111", ["pip-config-broken"]),
    ],
)
def test_a_tagged_build_is_missing_for_one_reason(before: str, offered: str, found: list[str]) -> None:
    assert list(codes(before + NO_VERSION.format(offered) + NO_MATCH)) == found
