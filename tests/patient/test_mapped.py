"""patient/mapped.py, in a process that has really loaded such libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.libraries import MappedLibraries
from envdoctor.patient import mapped
from tests import ROOT
from tests.patient.compiled import shared

NCCL = "int ncclGetVersion(int *v) { *v = 22705; return 0; }\n"
CUDART = "int cudaRuntimeGetVersion(int *v) { *v = 12060; return 0; }\n"
CUDNN = "unsigned long cudnnGetVersion(void) { return 91002; }\n"
LOOK = """
import ctypes, json, sys, types
package = types.ModuleType("envdoctor_patient"); package.__path__ = [sys.argv[1]]
sys.modules["envdoctor_patient"] = package
for path in sys.argv[2:]:
    ctypes.CDLL(path)
from envdoctor_patient import mapped
print(json.dumps(mapped.libraries()))
"""


def seen(*paths: Path) -> MappedLibraries:
    argv = [sys.executable, "-I", "-c", LOOK, str(ROOT / "envdoctor" / "patient"), *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = decode.fact("mapped-libraries", json.loads(done.stdout))
    assert isinstance(found, MappedLibraries), found
    return found


def test_libraries_say_their_own_version(tmp_path: Path) -> None:
    found = seen(
        shared(tmp_path / "libnccl.so.2", NCCL),
        shared(tmp_path / "libcudart.so.12", CUDART),
        shared(tmp_path / "libcudnn.so.9", CUDNN),
        shared(tmp_path / "libfoo.so.1"),
    )
    told = {library.family: (library.version, library.asked) for library in found.libraries}
    told.pop("libstdc++", None)
    assert told == {"libnccl": ("2.27.5", True), "libcudart": ("12.6", True), "libcudnn": ("9.10.2", True)}
    assert found.of("libnccl")[0].path == str(tmp_path / "libnccl.so.2")


def test_one_that_cannot_be_asked_is_known_by_its_file(tmp_path: Path) -> None:
    real = shared(tmp_path / "libnccl.so.2.18.3", soname="libnccl.so.2")
    (tmp_path / "libnccl.so.2").symlink_to(real.name)
    failing = shared(tmp_path / "libcudart.so.12", "int cudaRuntimeGetVersion(int *v) { return 35; }\n")
    found = seen(tmp_path / "libnccl.so.2", failing)
    (nccl,) = found.of("libnccl")
    assert (nccl.path, nccl.version, nccl.asked) == (str(real), "2.18.3", False)
    (cudart,) = found.of("libcudart")
    assert (cudart.version, cudart.asked) == ("", False)


def test_none_of_them_loaded() -> None:
    assert [library for library in seen().libraries if library.family != "libstdc++"] == []


def test_a_file_replaced_under_a_running_process(tmp_path: Path) -> None:
    library = shared(tmp_path / "libnccl.so.2", NCCL)
    code = LOOK.replace("from envdoctor", "import os; os.unlink(sys.argv[2])\nfrom envdoctor")
    argv = [sys.executable, "-I", "-c", code, str(ROOT / "envdoctor" / "patient"), str(library)]
    told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    (nccl,) = [found for found in told["libraries"] if found["family"] == "libnccl"]
    assert nccl["path"] == f"{library} (deleted)"


@pytest.mark.parametrize(("code", "version"), [(22705, "2.27.5"), (2804, "2.8.4"), (20903, "2.9.3"), (0, ""), (-1, "")])
def test_nccl_changed_the_form_of_its_version(code: int, version: str) -> None:
    assert mapped.nccl_version(code) == version


@pytest.mark.parametrize(("code", "version"), [(91002, "9.10.2"), (8907, "8.9.7"), (90100, "9.1.0"), (0, "")])
def test_cudnn_changed_the_form_of_its_version(code: int, version: str) -> None:
    assert mapped.cudnn_version(code) == version
