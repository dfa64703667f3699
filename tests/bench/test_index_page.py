"""envdoctor/bench/index_page.py: what pages list, and hostile pages within bounded time and memory."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench.index_page import Listing, Wheel, ordered, read
from tests.bench.mirror_sites import JSON, html_page, json_page, wheel_name

URL = "https://mirror.example/simple/torch/"
LINUX = ("cp312", "linux", "x86_64")


def test_a_page_of_pep_691() -> None:
    page = read(json_page("2.1.0", "2.14.0", "2.9.1", size=7), JSON, URL)
    assert (page.kind, page.newest, page.whole) == ("index", "2.14.0", True)
    wheel = page.wheel("cp39", "linux", "x86_64")
    assert wheel == Wheel(
        wheel_name("2.14.0", "cp39"), f"https://mirror.example/packages/{wheel_name('2.14.0', 'cp39')}", "2.14.0", 7
    )


def test_a_page_of_pep_503_with_a_base_and_entities() -> None:
    body = html_page("2.1.0", "2.14.0").replace(b"<head>", b'<head><base href="//files.example/x&amp;y/">')
    body = body.replace(b'href="/packages/', b'href="packages/')
    wheel = read(body, "text/html; charset=utf-8", URL).wheels[-1]
    assert wheel.url == f"https://files.example/x&y/packages/{wheel.name}"
    assert wheel.host == "files.example" and wheel.size is None


@pytest.mark.parametrize(
    ("name", "platform", "fits"),
    [
        ("torch-2.14.0-cp312-cp312-manylinux_2_28_x86_64.whl", LINUX, True),
        ("torch-2.14.0-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", LINUX, True),
        ("torch-2.14.0+cu130-cp312-cp312-linux_x86_64.whl", LINUX, True),
        ("torch-2.14.0-1-cp312-cp312-manylinux_2_28_x86_64.whl", LINUX, True),
        ("torch-2.14.0-cp312-cp312-manylinux_2_28_aarch64.whl", LINUX, False),
        ("torch-2.14.0-cp311-cp311-manylinux_2_28_x86_64.whl", LINUX, False),
        ("torch-2.14.0-cp313-cp313t-manylinux_2_28_x86_64.whl", ("cp313", "linux", "x86_64"), False),
        ("torch-2.14.0-cp313-cp313t-manylinux_2_28_x86_64.whl", ("cp313t", "linux", "x86_64"), True),
        ("torch-2.14.0-cp312-none-macosx_11_0_arm64.whl", ("cp312", "macos", "aarch64"), True),
        ("torch-2.14.0-cp312-cp312-win_amd64.whl", ("cp312", "windows", "x86_64"), True),
        ("torch-2.14.0-cp312-cp312-win_amd64.whl", ("cp312", "plan9", "x86_64"), False),
        ("torch-2.14.0.tar.gz", LINUX, False),
    ],
)
def test_which_wheel_an_interpreter_takes(name: str, platform: tuple[str, str, str], fits: bool) -> None:
    assert Wheel(name, "https://x.example/" + name, "2.14.0").fits(*platform) is fits


def test_previews_yanked_files_and_other_projects_do_not_count() -> None:
    files = [
        {"filename": name, "url": name, "yanked": yanked}
        for name, yanked in (
            (wheel_name("2.14.0"), False),
            (wheel_name("2.16.0"), "broken"),
            (wheel_name("2.17.0rc1"), False),
            (wheel_name("2.18.0.dev20261101"), False),
            (wheel_name("2.19.0").replace("torch-", "torchvision-"), False),
        )
    ]
    assert read(json.dumps({"files": files}).encode(), JSON, URL).newest == "2.14.0"


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"<html><form>sign in</form></html>", "text/html", Listing("other", (), True)),
        (b"", "text/html", Listing("other", (), True)),
        (b'{"files": [{"filename": 1}]}', JSON, Listing("other", (), False)),
        (json_page("2.14.0")[:-5], JSON, Listing("other", (), False)),
        (b"\xff\xfe", JSON, Listing("other", (), False)),
        (b"[" * 100_000, JSON, Listing("other", (), False)),
        (b'{"files": []}', JSON, Listing("index", (), True)),
        (html_page("2.14.0"), JSON, Listing("other", (), False)),
    ],
)
def test_what_is_no_index(body: bytes, kind: str, expected: Listing) -> None:
    assert read(body, kind, URL) == expected


def test_links_that_are_no_http_are_left_out() -> None:
    names = wheel_name("2.14.0")
    for base in ("file:///etc", "ftp://x.example", "javascript:", "http://[broken"):
        assert read(json_page("2.14.0", base=base), JSON, URL).wheels == ()
    assert names in read(json_page("2.14.0"), JSON, URL).wheels[-1].name


@given(st.binary(max_size=3000), st.sampled_from([JSON, "text/html", "", "application/octet-stream"]))
def test_any_bytes_are_a_listing(body: bytes, kind: str) -> None:
    assert isinstance(read(body, kind, URL), Listing)


WORDS = st.sampled_from(
    [
        "<a href=",
        '"',
        "'",
        wheel_name("2.14.0"),
        "torch-9999999999.0-cp312-cp312-",
        "#",
        "http://[",
        "<base ",
        "&#x110000;",
    ]
)


@given(st.lists(WORDS, max_size=60), st.text(max_size=40))
def test_any_html_is_a_listing(words: list[str], url: str) -> None:
    assert isinstance(read("".join(words).encode(), "text/html", url), Listing)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["files", "filename", "url", "size"]), inner),
        max_leaves=30,
    )
)
def test_any_json_is_a_listing(value: object) -> None:
    assert isinstance(read(json.dumps(value).encode(), JSON, URL), Listing)


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        (b"<a " * 8, "text/html"),
        (b"href=" * 5, "text/html"),
        (b"href ", "text/html"),
        (b'href="', "text/html"),
        (b'href="' + wheel_name("2.14.0").encode() + b'" ', "text/html"),
        (b"<base " * 4, "text/html"),
        (b'href="torch-1.1.1.1.1.1-', "text/html"),
        (b'{"filename":"","url":""},', JSON),
        (b"[],", JSON),
    ],
)
def test_eight_megabytes_of_anything_are_read_soon_and_in_little_memory(unit: bytes, kind: str) -> None:
    body = unit * ((8 << 20) // len(unit))
    if kind == JSON:
        body = b'{"files":[' + body + b'{"filename":"","url":""}]}'
    tracemalloc.start()
    began = time.process_time()
    try:
        page = read(body, kind, URL)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(page, Listing)
    assert time.process_time() - began < 10
    assert peak < 200e6


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_versions_are_ordered_by_their_numbers(parts: list[int]) -> None:
    version = ".".join(map(str, parts))
    assert ordered(version) == ordered(f"{version}.0")
    assert ordered(version) < ordered(f"{version}.1")
