"""What is installed: the wheel holds envdoctor/ and nothing else, and installing it moves nobody's packages."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests import ROOT


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git tracks, as from a fresh clone."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    run("git", "clone", "-q", ROOT, clone)
    # What is not committed yet counts as well.
    changed = run(
        "git", "-C", ROOT, "ls-files", "-mo", "--exclude-standard", "envdoctor", "checks", "pyproject.toml"
    ).split()
    for name in changed:
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, clone)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_only_envdoctor(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"envdoctor", next(top for top in tops if top.endswith(".dist-info"))}
    assert {f"envdoctor/_checks/{path.name}" for path in (ROOT / "checks").glob("*.py")} <= set(names)
    assert {f"envdoctor/knowledge/{path.name}" for path in (ROOT / "envdoctor/knowledge").glob("*.toml")} <= set(names)
    assert "envdoctor/patient/__main__.py" in names


def test_installing_moves_no_package_and_pulls_no_torch(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"

    def versions() -> dict[str, str]:
        listed = json.loads(run(python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
        return {entry["name"].lower(): entry["version"] for entry in listed}

    run(python, "-m", "pip", "install", "-q", "pydantic==1.10.26", "numpy<2.3")
    before = versions()
    run(python, "-m", "pip", "install", "-q", wheel)
    after = versions()
    assert before["pydantic"] == "1.10.26"
    assert {name: after[name] for name in before} == before
    assert "torch" not in after
    assert not [name for name in after if name == "pynvml"], "the deprecated distribution"
    told = run(tmp_path / "bin" / "envdoctor", "check", "shm", "--quick", "--json", "--fail-on", "never", cwd=tmp_path)
    assert json.loads(told)["outcomes"], "the checks are found inside the wheel"


def test_the_patient_travels_light(tmp_path: Path) -> None:
    """What goes to a bare host, the patient as a zip and pynvml gzipped beside it, is under 200 kB."""
    import gzip

    import pynvml

    bundle = tmp_path / "patient.pyz"
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (ROOT / "envdoctor" / "patient").glob("*.py"):
            archive.write(path, f"envdoctor_patient/{path.name}")
    binding = gzip.compress(Path(pynvml.__file__).read_bytes())
    assert bundle.stat().st_size + len(binding) < 200_000
    code = f"import sys; sys.path.insert(0, {str(bundle)!r})\n"
    code += "from envdoctor_patient.__main__ import main; main(sys.argv[1])"
    told = run(sys.executable, "-I", "-c", code, '{"only": ["host"], "limit_s": 20}')
    assert '"fact":"host"' in told
