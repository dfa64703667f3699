"""patient/symbols.py, against the dynamic loader's own verdict and against the real torch."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.patient import symbols
from tests.patient.compiled import shared

OLD = "int _ZN3c105ErrorC2Ev(void) { return 1; } int _ZNK2at6Tensor4sizeEl(void) { return 2; }\n"
NEW = "int _ZN3c105ErrorC2Ei(void) { return 1; } int _ZNK2at6Tensor4sizeEl(void) { return 2; }\n"
ASKS = """
int _ZN3c105ErrorC2Ev(void); int _ZNK2at6Tensor4sizeEl(void);
int maybe(void) __attribute__((weak));
int _ZN5torch4maybeEv(void) __attribute__((weak));
int ask(void) { return _ZN3c105ErrorC2Ev() + _ZNK2at6Tensor4sizeEl() + (maybe ? 1 : 0) + (_ZN5torch4maybeEv ? 1 : 0); }
"""


def real_torch() -> Path:
    """The folder of the real torch's libraries, found without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        pytest.skip("needs torch")
    return Path(spec.origin).parent / "lib"


@pytest.mark.parametrize(("source", "lacks"), [(OLD, []), (NEW, ["_ZN3c105ErrorC2Ev"])])
def test_what_ld_so_would_refuse(tmp_path: Path, source: str, lacks: list[str]) -> None:
    """An extension built against the old libc10, beside the old and the new one."""
    built = shared(tmp_path / "old" / "libc10.so", OLD)
    extension = shared(tmp_path / "flash_attn_2_cuda.so", ASKS, needs_libraries=(built,), runpath="$ORIGIN/lib")
    shared(tmp_path / "lib" / "libc10.so", source)
    torch = symbols.Torch(str(tmp_path / "lib"))
    assert torch.lacks(str(extension)) == lacks
    torch.close()
    code = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)"
    done = subprocess.run([sys.executable, "-I", "-c", code, str(extension)], capture_output=True, text=True)
    assert (done.returncode == 0) == (not lacks)
    assert not lacks or f"undefined symbol: {lacks[0]}" in done.stderr


def test_what_it_brings_along_counts(tmp_path: Path) -> None:
    old = shared(tmp_path / "libown.so", OLD)
    extension = shared(tmp_path / "_C.so", ASKS, needs_libraries=(old,), runpath="$ORIGIN")
    shared(tmp_path / "lib" / "libc10.so", NEW)
    assert symbols.Torch(str(tmp_path / "lib")).lacks(str(extension)) == []


def test_without_torchs_core_nothing_is_known(tmp_path: Path) -> None:
    extension = shared(tmp_path / "_C.so", ASKS)
    (tmp_path / "lib").mkdir()
    assert symbols.Torch(str(tmp_path / "lib")).lacks(str(extension)) == []
    (tmp_path / "lib" / "libc10.so").write_text("no library")
    assert symbols.Torch(str(tmp_path / "lib")).lacks(str(extension)) == []
    assert symbols.Torch("/nowhere").lacks("/nowhere/x.so") == []


def test_the_real_torch_lacks_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lib = real_torch()
    monkeypatch.setattr(symbols, "MOST_LOOKED_UP", 10**6)
    found = symbols.Torch(str(lib))
    for name in ("libtorch_python.so", "libtorch_cpu.so", "libshm.so"):
        assert found.lacks(str(lib / name)) == []
    assert len(found.defined) > 3000
    found.close()


def test_the_real_torch_lacks_what_was_made_up(tmp_path: Path) -> None:
    extension = shared(tmp_path / "_C.so", ASKS)
    found = symbols.Torch(str(real_torch())).lacks(str(extension))
    assert found == ["_ZN3c105ErrorC2Ev", "_ZNK2at6Tensor4sizeEl"]


@given(st.data())
def test_no_damage_does_harm(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "symbols"
    if not folder.exists():
        shared(folder / "libc10.so", OLD)
        shared(folder / "_C.so", ASKS)
    place = tmp_path_factory.mktemp("damaged")
    for name in ("libc10.so", "_C.so"):
        content = bytearray((folder / name).read_bytes())
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=12)):
            content[at] = data.draw(st.integers(0, 255))
        (place / name).write_bytes(bytes(content))
    torch = symbols.Torch(str(place))
    assert len(torch.lacks(str(place / "_C.so"))) <= symbols.MOST_NAMED
    torch.close()
