"""envdoctor/knowledge/conda_channels.py: what an address says, and whose it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.knowledge import conda_channels
from envdoctor.knowledge.conda_channels import Address, address, mirror_of, named

TUNA = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (f"{TUNA}/pkgs/main/", Address(TUNA, packages="main")),
        (f"{TUNA}/cloud", Address(TUNA)),
        (f"{TUNA}/cloud/conda-forge/linux-64", Address(TUNA, channel="conda-forge")),
        ("https://repo.anaconda.com/pkgs/main", Address("https://repo.anaconda.com", packages="main")),
        ("https://conda.anaconda.org/pytorch", Address("https://conda.anaconda.org", channel="pytorch")),
        ("https://conda.corp.example/api/conda/forge", None),
        ("conda-forge", None),
        ("file:///data/cloud/x", None),
    ],
)
def test_an_address_is_taken_apart(url: str, found: Address | None) -> None:
    assert address(url) == found


def test_who_serves_it() -> None:
    official, mirror = address("https://repo.anaconda.com/pkgs/r"), address(f"{TUNA}/pkgs/r")
    assert official is not None and official.official
    assert mirror is not None and not mirror.official
    for url, name in ((f"{TUNA}/cloud", "tuna"), ("http://mirrors.nju.edu.cn/anaconda/cloud/x", "nju")):
        found = mirror_of(url)
        assert found is not None and found.id == name
    assert mirror_of("https://mirrors.sustech.edu.cn/anaconda-extra/cloud") == named("sustech-extra")
    assert mirror_of("https://mirrors.tuna.tsinghua.edu.cn/anaconda2/x") is None and mirror_of("defaults") is None


@given(st.text())
def test_any_text_may_be_asked_about(text: str) -> None:
    assert address(text) is None or address(text) == address(text.rstrip("/"))
    assert mirror_of(text) is None or text.lower().startswith(("http", "//"))


def test_every_option_is_a_mirror_and_every_mirror_says_what_it_holds() -> None:
    words = [word for mirror in conda_channels.mirrors() for word in (mirror.id, *mirror.words)]
    assert len(words) == len(set(words))
    for word in conda_channels.WITH_OPTION:
        mirror = named(word)
        assert mirror is not None and "conda-forge" in mirror.channels, word
    for mirror in conda_channels.mirrors():
        assert mirror.channels and not mirror.endpoint.endswith("/"), mirror.id
        assert address(mirror.of_packages("main")) == Address(mirror.endpoint, packages="main")
