"""patient/packages.py, on real environments that real pip made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.packages import DamagedFile, Packages
from envdoctor.patient import packages as patient
from envdoctor.transport.local import Request, examine
from tests.patient.made_wheels import Venv, wheel

NCCL = "nvidia/nccl/lib/libnccl.so.2"
CU12, CU11 = b"NCCL 2.27.3 for CUDA 12", b"NCCL 2.14.3"


def seen(venv: Venv, quick: bool = False) -> Packages:
    answer = examine(venv.python, Request(limit_s=20, only=("packages",), quick=quick))
    found = decode.fact("packages", answer.values["packages"])
    assert isinstance(found, Packages), found
    return found


def nccl(folder: Path, cuda: int, version: str, content: bytes) -> Path:
    return wheel(folder, f"nvidia-nccl-cu{cuda}", version, {NCCL: content, "nvidia/__init__.py": b""})


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return Venv(tmp_path / "env")


def test_names_versions_and_requirements(venv: Venv, tmp_path: Path) -> None:
    venv.install(
        wheel(
            tmp_path,
            "torchvision",
            "0.22.1",
            {"torchvision/version.py": b"__version__ = '0.22.1+cu126'\n", "torchvision/__init__.py": b""},
            ("numpy", "torch (==2.7.1)", 'scipy; extra == "scipy"', "pillow>=5"),
        ),
        wheel(tmp_path, "Nvidia_ML.py", "13.0", {"pynvml.py": b""}),
        wheel(tmp_path, "left-pad", "1.0", {"left_pad.py": b""}),
    )
    found = seen(venv)
    assert found.count == 3
    vision = found.get("torchvision")
    assert vision and vision.version == "0.22.1" and vision.module_version == "0.22.1+cu126"
    assert vision.folder == str(venv.site) and vision.cuda == "12.6"
    assert vision.requirement("torch") == "==2.7.1" and vision.requirement("numpy") == ""
    assert found.get("nvidia-ml-py") and found.get("left-pad") is None
    assert found.damaged == ()


def test_two_wheels_own_the_same_library(venv: Venv, tmp_path: Path) -> None:
    venv.install(nccl(tmp_path, 12, "2.27.3", CU12))
    assert seen(venv).damaged == ()
    venv.install(nccl(tmp_path, 11, "2.14.3", CU11))
    (file,) = seen(venv).damaged
    path = str(venv.site / NCCL)
    assert file == DamagedFile(path, ("nvidia-nccl-cu11", "nvidia-nccl-cu12"), True, "nvidia-nccl-cu11")
    venv.pip("uninstall", "--yes", "--quiet", "nvidia-nccl-cu11")
    assert seen(venv).damaged == (DamagedFile(path, ("nvidia-nccl-cu12",), False),)
    venv.install("--force-reinstall", tmp_path / "nvidia_nccl_cu12-2.27.3-py3-none-any.whl")
    assert seen(venv).damaged == ()


def test_sizes_that_do_not_settle_it_are_settled_by_the_digest(venv: Venv, tmp_path: Path) -> None:
    venv.install(nccl(tmp_path, 12, "2.27.3", b"A" * 100))
    venv.install(nccl(tmp_path, 13, "2.28.9", b"B" * 100))
    assert seen(venv).damaged[0].belongs_to == "nvidia-nccl-cu13"
    assert seen(venv, quick=True).damaged[0].belongs_to == ""


def test_the_same_file_in_two_wheels_is_no_conflict(venv: Venv, tmp_path: Path) -> None:
    venv.install(nccl(tmp_path, 12, "2.27.3", CU12))
    venv.install(nccl(tmp_path, 13, "2.27.3", CU12))
    assert seen(venv).damaged == ()


def test_a_file_that_is_nobodys(venv: Venv, tmp_path: Path) -> None:
    venv.install(nccl(tmp_path, 12, "2.27.3", CU12))
    (venv.site / NCCL).write_bytes(b"copied by hand")
    assert seen(venv).damaged == (DamagedFile(str(venv.site / NCCL), ("nvidia-nccl-cu12",), True, "", True),)


def test_what_extensions_say_they_were_built_for(venv: Venv, tmp_path: Path) -> None:
    cpp = {"version": {"cuda": 1204, "hip": None, "torch": "2.5.1+cu124", "python": "3.11.10"}, "env": {}}
    deepspeed = (
        "version='0.16.0'\ninstalled_ops={'cpu_adam': False, 'fused_adam': True}\n"
        "torch_info={'version': '2.5', 'bf16_support': True, 'cuda_version': '12.4'}\n"
    )
    flash = wheel(tmp_path / "flash", "flash-attn", "2.7.4.post1", {"flash_attn/__init__.py": b""})
    named = flash.rename(flash.with_name("flash_attn-2.7.4.post1+cu12torch2.6cxx11abiFALSE-py3-none-any.whl"))
    venv.install(
        wheel(tmp_path, "xformers", "0.0.28.post3", {"xformers/cpp_lib.json": json.dumps(cpp).encode()}),
        wheel(tmp_path, "deepspeed", "0.16.0", {"deepspeed/git_version_info_installed.py": deepspeed.encode()}),
    )
    found = seen(venv)
    xformers, built = found.get("xformers"), found.get("deepspeed")
    assert xformers and (xformers.torch, xformers.cuda) == ("2.5.1", "12.4")
    assert built and (built.torch, built.cuda) == ("2.5", "12.4")
    # pip 23 installs a wheel whose name and metadata differ in the local version; it keeps the URL.
    info = venv.site / "flash_attn-2.7.4.post1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: flash-attn\n")
    (info / "direct_url.json").write_text(
        json.dumps({"url": f"https://user:secret@example.com/v2.7.4/{named.name.replace('+', '%2B')}?token=x"})
    )
    told = seen(venv).get("flash-attn")
    assert told and told.wheel == named.name and (told.torch, told.cuda) == ("2.6", "12")
    assert "secret" not in repr(told) and "token" not in repr(told)


def test_broken_files_of_extensions_tell_nothing(venv: Venv, tmp_path: Path) -> None:
    venv.install(
        wheel(tmp_path, "xformers", "0.0.1", {"xformers/cpp_lib.json": b"[]"}),
        wheel(tmp_path, "deepspeed", "0.1", {"deepspeed/__init__.py": b""}),
    )
    found = seen(venv)
    assert all(p.torch == "" and p.cuda == "" for p in found.distributions)


def test_pins_go_through_cuda_toolkit(venv: Venv, tmp_path: Path) -> None:
    venv.install(
        wheel(
            tmp_path,
            "cuda-toolkit",
            "13.0.3",
            {},
            ('nvidia-cublas==13.1.0.3.*; extra == "cublas"', 'nvidia-cufft==12.0.0.61.*; extra == "cufft"'),
        ),
        wheel(tmp_path, "torch", "2.13.0", {}, ('cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"',)),
    )
    from envdoctor.facts.torch import Pin, TorchInstall

    pins = seen(venv).pins(TorchInstall(pins=(Pin("cuda-toolkit", "13.0.3"), Pin("cuda-bindings", ""))))
    assert pins == (Pin("cuda-toolkit", "13.0.3"), Pin("nvidia-cublas", "13.1.0.3.*"))


@given(st.text(max_size=300))
def test_no_metadata_is_too_odd(text: str) -> None:
    for requirement in patient.requirements("Requires-Dist: " + text):
        assert patient.TELLING.match(requirement)


@given(st.binary(max_size=200))
def test_no_record_is_too_odd(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    record = tmp_path_factory.mktemp("record") / "RECORD"
    record.write_bytes(b"nvidia/x/lib/libx.so," + data + b"\n")
    for file in patient.damaged([("nvidia-x", str(record.parent), str(record))], quick=False):
        assert file["owners"] and not file["present"]


def test_a_hundred_distributions_cost_little(venv: Venv, tmp_path: Path) -> None:
    """30 ms for packages and libraries together is the budget; 3 times that where other things run."""
    for number in range(100):
        name = f"nvidia-part{number}-cu12" if number < 16 else f"torch-part{number}" if number < 30 else f"p{number}"
        info = venv.site / f"{name.replace('-', '_')}-1.{number}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: x\nRequires-Dist: torch==2.7.1\n\n" + "text\n" * 500)
        files = [venv.site / f"nvidia/part{number}/lib/libpart{n}.so.12" for n in range(8 if number < 16 else 0)]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        (info / "RECORD").write_text(
            "".join(f"{f.relative_to(venv.site)},sha256=x,1\n" for f in files) + "a.h,,\n" * 200
        )
    best = 1.0
    for _ in range(3):
        records: list[dict[str, Any]] = []
        examine(venv.python, Request(limit_s=20, only=("packages", "libraries")), on_record=records.append)
        taken = {str(r["fact"]): float(r["seconds"]) for r in records if "fact" in r}
        best = min(best, taken["packages"] + taken["libraries"])
    assert best < 0.09
