"""envdoctor/knowledge/torch_builds.py against itself and against the torch that is installed."""

from __future__ import annotations

import datetime
import importlib.metadata
import re

import pytest

from envdoctor.knowledge import FOLDER, rows, table, torch_builds
from envdoctor.knowledge.cuda_driver import cuda_of, tag_of
from envdoctor.knowledge.gpus import whole
from envdoctor.knowledge.torch_builds import Code, arch_list, companions, releases
from envdoctor.knowledge.versions import numbers
from tests import needs


def test_releases_are_newest_first_and_unique() -> None:
    versions = [numbers(release.version) for release in releases()]
    assert versions == sorted(set(versions), reverse=True)
    assert [release.date for release in releases() if release.version != "1.8.2"] == sorted(
        (release.date for release in releases() if release.version != "1.8.2"), reverse=True
    )


def test_every_build_has_known_code_where_it_has_wheels() -> None:
    for release in releases():
        for build in release.builds:
            assert arch_list(release.version, build.tag, "linux", "x86_64"), (release.version, build.tag)
            on_windows = arch_list(release.version, build.tag, "windows", "x86_64")
            assert bool(on_windows) == build.windows, (release.version, build.tag)


def test_no_two_rows_of_code_speak_of_one_build() -> None:
    for release in releases():
        for build in release.builds:
            for machine in ("x86_64", "aarch64", "windows"):
                told = [row for row in rows("torch_builds", "code", Code) if row.machine == machine]
                assert sum(row.holds(release.version, build.tag) for row in told) <= 1


def test_every_row_of_code_speaks_of_a_build() -> None:
    for row in rows("torch_builds", "code", Code):
        for tag in row.tags:
            held = [release for release in releases() if release.build(tag) and row.holds(release.version, tag)]
            assert held, (row.machine, tag)


def test_defaults_are_builds_of_their_release() -> None:
    for release in releases():
        for tag in filter(None, (release.default, release.default_aarch64)):
            assert release.build(tag), (release.version, tag)


def test_spans_are_ordered_minor_versions_of_python_3() -> None:
    for release in releases():
        spans = (
            release.python, release.free_threaded, release.aarch64, release.windows,
            release.macos_arm64, release.macos_x86_64,
        )  # fmt: skip
        for span in filter(None, spans):
            found = re.fullmatch(r"3\.(\d+)-3\.(\d+)", span)
            assert found and int(found.group(1)) <= int(found.group(2)), (release.version, span)


@pytest.mark.parametrize(
    ("version", "system", "machine", "expected"),
    [
        ("2.10.0", "linux", "x86_64", "cu128"),
        ("2.11.0", "linux", "x86_64", "cu130"),
        ("2.15.0", "linux", "x86_64", "cu132"),
        ("2.10.0", "linux", "aarch64", ""),
        ("2.11.0", "linux", "aarch64", "cu130"),
        ("2.13.0", "windows", "x86_64", ""),
        ("2.13.0", "macos", "aarch64", ""),
        ("2.13.0", "linux", "ppc64le", ""),
    ],
)
def test_what_a_plain_pip_install_gives(version: str, system: str, machine: str, expected: str) -> None:
    release = torch_builds.release(version)
    assert release is not None
    assert release.default_on(system, machine) == expected


def test_no_cuda_12_build_since_2_15_and_no_cuda_11_since_2_8() -> None:
    for release in releases():
        majors = {numbers(cuda_of(build.tag))[0] for build in release.builds}
        if numbers(release.version) >= (2, 15):
            assert majors == {13}
        if numbers(release.version) >= (2, 8):
            assert 11 not in majors


def test_volta_comes_and_goes() -> None:
    holding = [
        f"{release.version}+{build.tag}"
        for release in releases()
        for build in release.builds
        if build.tag in ("cu128", "cu130") and "sm_70" in arch_list(release.version, build.tag, "linux", "x86_64")
    ]
    assert holding == ["2.10.0+cu128", "2.9.1+cu128", "2.9.0+cu128", "2.8.0+cu128"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.13.0+cu130", "cu130"),
        ("2.13.0", ""),
        ("2.13.0+cpu", ""),
        ("2.13.0+cu121", ""),
        ("2.6.0a0+ecf3bae40a.nv25.1", ""),
        ("2.16.0.dev20261101+cu130", ""),
        ("", ""),
    ],
)
def test_which_builds_are_pytorchs_own(version: str, expected: str) -> None:
    assert torch_builds.official_tag(version) == expected


@pytest.mark.parametrize(
    ("version", "system", "machine"),
    [("2.8.0", "linux", "aarch64"), ("2.13.0", "macos", "aarch64"), ("9.9.9", "linux", "x86_64")],
)
def test_code_that_is_not_known(version: str, system: str, machine: str) -> None:
    assert arch_list(version, "cu128", system, machine) == ()


def test_code_of_windows_on_arm_is_not_known() -> None:
    assert arch_list("2.13.0", "cu130", "windows", "aarch64") == ()


def test_code_of_windows_wheels() -> None:
    assert arch_list("2.4.1", "cu118", "windows", "x86_64")[-1] == "compute_37"
    assert "sm_61" in arch_list("2.4.1", "cu121", "windows", "x86_64")
    assert arch_list("2.13.0", "cu126", "windows", "x86_64") == arch_list("2.13.0", "cu126", "linux", "x86_64")


def test_companions_and_pins() -> None:
    assert companions("2.7.1+cu126") == (("0.22.1",), "2.7.1")
    assert companions("2.13.0") == (("0.28.0",), "2.11.0")
    assert companions("2.99.0") is None
    assert torch_builds.nvidia_pins("2.13.0", "cu130") == ("9.20.0.48", "2.29.7")
    assert torch_builds.nvidia_pins("2.13.0", "cu121") is None


@pytest.mark.parametrize(
    ("span", "python", "expected"),
    [("3.9-3.13", (3, 9), True), ("3.9-3.13", (3, 14), False), ("3.9-3.13", (3, 8), False), ("", (3, 11), False)],
)
def test_spans_of_python(span: str, python: tuple[int, int], expected: bool) -> None:
    assert torch_builds.python_holds(span, python) is expected


def test_names_of_processors() -> None:
    assert [torch_builds.machine_name(name) for name in ("AMD64", "arm64", "ppc64le")] == [
        "x86_64",
        "aarch64",
        "ppc64le",
    ]


def test_a_platform_without_wheels_has_no_python() -> None:
    release = torch_builds.release("2.13.0")
    assert release is not None
    assert release.pythons("linux", "ppc64le") == ""
    assert release.pythons("linux", "aarch64") == release.python
    assert release.pythons("macos", "x86_64") == ""


def test_the_tables_stay_small_enough_to_be_read_on_every_run() -> None:
    """tomllib reads about 4 kB in a millisecond: 40 kB would cost 10 ms."""
    names = ("torch_builds", "cuda_driver", "gpus")
    assert sum((FOLDER / f"{name}.toml").stat().st_size for name in names) < 40_000


def test_every_table_says_how_old_it_is_and_where_it_comes_from() -> None:
    for name in ("torch_builds", "cuda_driver", "gpus"):
        about = table(name)["meta"]
        assert isinstance(about["as_of"], datetime.date) and about["source"]
    assert releases()[0].date <= str(table("torch_builds")["meta"]["as_of"])


def test_index_of_a_build() -> None:
    assert torch_builds.index_url("cu126") == "https://download.pytorch.org/whl/cu126"


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Failed to initialize NumPy")
def test_the_installed_torch_knows_no_more_than_these_tables() -> None:
    """torch carries a table of its own builds and their code: when it is newer than ours, ours is out of date."""
    published = needs.module("torch.cuda").PYTORCH_RELEASES_CODE_CC
    version = importlib.metadata.version("torch").partition("+")[0]
    assert torch_builds.release(version), f"torch {version} is not in torch_builds.toml"
    for cuda, by_machine in published.items():
        for machine, codes in by_machine.items():
            ours = arch_list(version, tag_of(cuda), "linux", machine)
            assert {whole_of(code) for code in ours if code.startswith("sm_")} == codes, (version, cuda, machine)


def whole_of(code: str) -> int:
    digits = code.removeprefix("sm_")
    return whole(f"{digits[:-1]}.{digits[-1]}")
