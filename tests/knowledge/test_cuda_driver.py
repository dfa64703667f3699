"""envdoctor/knowledge/cuda_driver.py"""

from __future__ import annotations

import pytest

from envdoctor.knowledge import rows
from envdoctor.knowledge.cuda_driver import Branch, Floor, Reach, cuda_of, floor, full_branch, level, reach, tag_of
from envdoctor.knowledge.torch_builds import releases
from envdoctor.knowledge.versions import at_least, minor, numbers


@pytest.mark.parametrize(
    ("cuda", "release", "cuda_level", "windows", "expected"),
    [
        ("12.6", "470.82.01", "11.4", False, "no"),
        ("11.8", "470.82.01", "11.4", False, "minor"),
        ("11.8", "450.51.05", "11.0", False, "no"),
        ("11.0", "450.51.05", "11.0", False, "full"),
        ("12.8", "535.104.05", "12.2", False, "minor"),
        ("12.1", "535.104.05", "12.2", False, "full"),
        ("13.0", "550.54.15", "12.4", False, "no"),
        ("13.2", "580.65.06", "13.0", False, "minor"),
        ("12.6", "595.58.03", "13.2", False, "full"),
        # Without the level, the release tells.
        ("12.8", "535.104.05", "", False, "minor"),
        ("13.0", "575.57.08", "", False, "no"),
        ("12.0", "525.60.11", "", False, "no"),
        ("12.0", "525.60.13", "", False, "full"),
        ("10.2", "418.39", "", False, "no"),
        # A forward-compatible libcuda raises the level above the kernel driver's own; an old one lowers it.
        ("13.0", "535.104.05", "13.0", False, "full"),
        ("13.0", "580.65.06", "12.4", False, "no"),
        # Windows has numbers of its own, and both 527.41 and 528.33 are given as the first for CUDA 12.
        ("12.4", "551.61", "", True, "full"),
        ("12.6", "527.41", "12.0", True, "minor"),
        ("13.0", "566.36", "12.7", True, "no"),
        ("13.0", "581.15", "", True, "full"),
        # Unknown is neither.
        ("12.6", "", "", False, "unknown"),
        ("", "550.54.15", "12.4", False, "unknown"),
        ("14.0", "700.10", "", False, "unknown"),
        ("10.2", "440.33.01", "10.2", False, "full"),
        ("10.2", "430.40", "10.1", False, "no"),
    ],
)
def test_reach(cuda: str, release: str, cuda_level: str, windows: bool, expected: Reach) -> None:
    assert reach(cuda, release, cuda_level, windows) == expected


def test_tags_and_versions() -> None:
    assert cuda_of("cu126") == "12.6" and cuda_of("cu92") == "9.2" and cuda_of("cu102") == "10.2"
    assert tag_of("12.6.3") == "cu126" and tag_of("13.0") == "cu130" and tag_of("") == ""
    with pytest.raises(ValueError, match="no CUDA build"):
        cuda_of("cpu")


def test_every_build_of_torch_has_a_floor_on_both_systems() -> None:
    for release in releases():
        for build in release.builds:
            cuda = cuda_of(build.tag)
            assert tag_of(cuda) == build.tag
            assert numbers(floor(cuda)) and numbers(floor(cuda, windows=True))
            assert full_branch(cuda), f"no branch supports CUDA {cuda} in full"


def test_the_family_floors_are_nvidias() -> None:
    assert [floor(cuda) for cuda in ("11.8", "12.6", "13.2", "10.2", "11.0", "14.0")] == [
        "450.80.02",
        "525.60.13",
        "580.65.06",
        "440.33",
        "450.36.06",
        "",
    ]
    assert floor("12.6", windows=True) == "528.33"


def test_branches_rise_with_cuda() -> None:
    branches = rows("cuda_driver", "branch", Branch)
    assert [branch.release for branch in branches] == sorted({branch.release for branch in branches})
    levels = [minor(branch.cuda) for branch in branches]
    assert levels == sorted(levels)


def test_a_floor_lies_in_a_branch_of_its_own_cuda() -> None:
    for row in (*rows("cuda_driver", "exact", Floor), *rows("cuda_driver", "family", Floor)):
        assert minor(level(row.linux))[0] == numbers(row.cuda)[0]


@pytest.mark.parametrize(
    ("release", "expected"),
    [("535.104.05", "12.2"), ("551.61", "12.4"), ("540.4.0", "12.2"), ("999.1", "13.4"), ("340.108", ""), ("", "")],
)
def test_level_of_a_release(release: str, expected: str) -> None:
    assert level(release) == expected


def test_first_branch_that_does_everything() -> None:
    assert [full_branch(cuda) for cuda in ("12.8", "12.6", "13.0", "13.2", "99.0")] == [570, 560, 580, 595, None]


def test_versions_of_different_length() -> None:
    assert at_least("580.65.06", "580") and at_least("580", "580.0") and not at_least("525.60.11", "525.60.13")
    assert minor("12") == (12, 0) and minor("x") == (0, 0)
    assert numbers("2.13.0+cu130") == (2, 13, 0)
