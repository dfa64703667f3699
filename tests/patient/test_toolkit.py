"""patient/toolkit.py, on made-up toolkits and on this machine's compilers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.toolkit import CudaToolkit, Toolkit
from envdoctor.patient import reading, sections
from envdoctor.patient import toolkit as patient
from tests import needs

HOST_CONFIG = """
#if defined(__GNUC__)
#if __GNUC__ > 13
#error -- unsupported GNU version! gcc versions later than 13 are not supported!
#endif
#if (__clang_major__ >= 18) || (__clang_major__ < 3)
#error -- unsupported clang version!
#endif
"""


def ask(quick: bool = False) -> sections.Ask:
    return sections.Ask({"quick": quick})


def seen(quick: bool = False) -> Toolkit:
    found = decode.fact("toolkit", patient.toolkit(ask(quick)))
    assert isinstance(found, Toolkit), found
    return found


def program(path: Path, output: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


def make(root: Path, version: str, by: str = "cuda.h") -> Path:
    """A toolkit's folder, its nvcc a program that is no script."""
    nvcc = root / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_bytes(b"\x7fELF not really")
    nvcc.chmod(0o755)
    (root / "include" / "crt").mkdir(parents=True)
    (root / "include" / "crt" / "host_config.h").write_text(HOST_CONFIG)
    major, _, minor = version.partition(".")
    if by == "cuda.h":
        (root / "include" / "cuda.h").write_text(f"/* */\n#define CUDA_VERSION {int(major) * 1000 + int(minor) * 10}\n")
    elif by == "version.json":
        (root / "version.json").write_text(f'{{"cuda" : {{"name" : "CUDA SDK", "version" : "{version}.1"}}}}')
    elif by == "version.txt":
        (root / "version.txt").write_text(f"CUDA Version {version}.243\n")
    return root


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the variables that choose a toolkit; by default nothing is found on PATH or in /usr/local."""
    (tmp_path / "root").mkdir()
    for name in ("CUDA_HOME", "CUDA_PATH", "CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def set_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_them


@pytest.mark.parametrize("by", ["cuda.h", "version.json", "version.txt"])
def test_a_toolkit_is_known_by_its_files(tmp_path: Path, shell: Callable[..., None], by: str) -> None:
    root = make(tmp_path / "cuda-12.4", "12.4", by)
    shell(CUDA_HOME=str(root))
    used = seen(quick=True).used
    assert used == CudaToolkit(str(root / "bin/nvcc"), str(root), "CUDA_HOME", "12.4", "file", 13, 17)


def test_cuda_home_comes_before_path(tmp_path: Path, shell: Callable[..., None]) -> None:
    old, new = make(tmp_path / "cuda-11.8", "11.8"), make(tmp_path / "cuda-12.4", "12.4")
    shell(PATH=str(new / "bin"), CUDA_PATH=str(old))
    found = seen()
    assert found.used and (found.used.version, found.used.source) == ("11.8", "CUDA_PATH")
    assert [each.version for each in found.toolkits[:2]] == ["11.8", "12.4"]
    shell(CUDA_HOME="/nowhere")
    found = seen()
    assert found.used is None and found.cuda_home == "/nowhere" and not found.cuda_home_exists


def test_a_script_that_starts_another_nvcc_is_seen_through(tmp_path: Path, shell: Callable[..., None]) -> None:
    root = make(tmp_path / "cuda-12.4", "12.4")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").write_text(f'#!/bin/sh\nexec {root}/bin/nvcc "$@"\n')
    (tmp_path / "bin" / "nvcc").chmod(0o755)
    used = seen(quick=True).used
    assert used and (used.root, used.version, used.source) == (str(root), "12.4", "PATH")


def test_a_link_is_followed(tmp_path: Path, shell: Callable[..., None]) -> None:
    make(tmp_path / "cuda-12.4", "12.4")
    (tmp_path / "cuda").symlink_to("cuda-12.4")
    shell(PATH=str(tmp_path / "cuda" / "bin"), CUDA_HOME=str(tmp_path / "cuda"))
    found = [each for each in seen().toolkits if each.root.startswith(str(tmp_path))]
    assert [each.root for each in found] == [str(tmp_path / "cuda-12.4")]


def test_nvcc_is_asked_where_no_file_tells(tmp_path: Path, shell: Callable[..., None]) -> None:
    program(tmp_path / "bin" / "nvcc", "Cuda compilation tools, release 12.1, V12.1.105")
    used = seen().used
    assert used and (used.version, used.version_source) == ("12.1", "nvcc --version")
    used = seen(quick=True).used
    assert used and (used.version, used.version_source) == ("", "")


def test_an_nvcc_that_never_answers(
    tmp_path: Path, shell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "VERSION_LIMIT_S", 0.2)
    program(tmp_path / "bin" / "nvcc", "").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    used = seen().used
    assert used and used.version == ""


@pytest.mark.parametrize(
    ("name", "output", "kind", "version"),
    [("x86_64-linux-gnu-g++-12", "", "gcc", "12"),
     ("g++-13", "", "gcc", "13"),
     ("clang++-18", "", "clang", "18"),
     ("x86_64-conda-linux-gnu-c++", "x86_64-conda-linux-gnu-c++ (conda-forge gcc 13.3.0-1) 13.3.0", "gcc", "13.3.0"),
     ("c++", "Ubuntu clang version 18.1.3 (1ubuntu1)", "clang", "18.1.3"),
     ("my-g++", "g++ (Debian 12.2.0-14) 12.2.0", "gcc", "12.2.0"),
     ("g++", "no version at all", "gcc", "")],
)  # fmt: skip
def test_compilers(tmp_path: Path, shell: Callable[..., None], name: str, output: str, kind: str, version: str) -> None:
    path = program(tmp_path / "bin" / name, output)
    shell(CXX=f"{name} -O2")
    compiler = seen().cxx
    assert (compiler.path, compiler.kind, compiler.version) == (str(path), kind, version)


def test_no_compiler(shell: Callable[..., None]) -> None:
    found = seen()
    assert found.cxx.command == "g++" and found.cxx.path == "" and found.cxx.major is None and found.ninja == ""


def test_this_machines_gcc(monkeypatch: pytest.MonkeyPatch) -> None:
    gcc = needs.program("gcc")
    monkeypatch.delenv("CC", raising=False)
    told = subprocess.run([gcc, "-dumpversion"], capture_output=True, text=True, check=True).stdout.strip()
    found = patient.compiler("gcc", quick=False)
    assert found["kind"] == "gcc" and found["version"].split(".")[0] == told.split(".")[0]


def test_this_machines_nvcc(monkeypatch: pytest.MonkeyPatch) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("needs nvcc, which is gigabytes and not free software")
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    told = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"release (\d+\.\d+)", told)
    used = seen(quick=True).used
    assert release and used and used.version == release.group(1)


def test_toolkits_of_usr_local(tmp_path: Path, shell: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "root" / "usr" / "local" / "cuda-12.6", "12.6")
    monkeypatch.setattr(reading, "ROOT", str(tmp_path / "root"))
    (found,) = seen(quick=True).toolkits
    assert (found.root, found.version, found.source) == ("/usr/local/cuda-12.6", "12.6", "/usr/local")
    os.symlink("cuda-12.6", tmp_path / "root" / "usr" / "local" / "cuda")
    (found,) = seen(quick=True).toolkits
    assert found.source == "/usr/local/cuda"
