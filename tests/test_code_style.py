"""The rules the code keeps: lint, types, the patient's syntax, the direction of imports, what may not be named."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

# From the outside in: a package may import those after it, never those before it.
ORDER = (
    "cli", "render", "last_check", "mending", "plan", "journal", "permission", "judgement", "texts", "examination",
    "load", "sighted", "summaries", "engine", "transport", "readers", "snapshot", "decode", "atomic", "state", "remedy",
    "model",
)  # fmt: skip
PUBLIC_TO_CHECKS = re.compile(r"^envdoctor($|\.facts\b|\.knowledge\b|\.edits\b|\.model$)")
SOURCES = sorted((ROOT / "envdoctor").rglob("*.py"))
CHECK_FILES = sorted((ROOT / "checks").glob("*.py"))


def expect_success(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_ruff() -> None:
    expect_success(sys.executable, "-m", "ruff", "check", ".")
    expect_success(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_mypy_strict() -> None:
    expect_success(sys.executable, "-m", "mypy")


def test_the_patient_is_python_3_6() -> None:
    expect_success(
        str(Path(sys.executable).with_name("vermin")), "-t=3.6-", "--violations", "--no-tips", "envdoctor/patient"
    )


def test_the_patient_needs_nothing_but_the_standard_library() -> None:
    standard = sys.stdlib_module_names
    allowed = {"torch", "pynvml", "numpy"}  # the objects of examination, imported where they are examined
    for path in sorted((ROOT / "envdoctor" / "patient").glob("*.py")):
        strange = {name.partition(".")[0] for name in imports_of(path)} - standard - allowed
        assert not strange, f"{path.name} imports {strange}"


def package_of(path: Path) -> str:
    return path.relative_to(ROOT / "envdoctor").parts[0].removesuffix(".py")


def test_imports_run_one_way() -> None:
    for path in SOURCES:
        package = package_of(path)
        if package not in ORDER:
            continue
        outer = {f"envdoctor.{name}" for name in ORDER[: ORDER.index(package)]}
        # The renderers read the words for how a Python was chosen; nothing else of transport.
        for name in imports_of(path):
            owner = ".".join(name.split(".")[:2])
            assert owner not in outer, f"{path.relative_to(ROOT)} imports {name}"


def test_only_cli_imports_typer_only_render_rich() -> None:
    for path in SOURCES:
        package, found = package_of(path), {name.partition(".")[0] for name in imports_of(path)}
        assert "typer" not in found or package == "cli", path
        assert "rich" not in found or package == "render", path
        assert "torch" not in found or package in ("patient", "bench"), path


def test_checks_import_only_the_public_words_facts_and_knowledge() -> None:
    for path in CHECK_FILES:
        for name in imports_of(path):
            if name.partition(".")[0] == "envdoctor" and name.count(".") >= 1:
                module = name if (ROOT / (name.replace(".", "/") + ".py")).exists() else name.rpartition(".")[0]
                assert PUBLIC_TO_CHECKS.match(module or name), f"{path.name} imports {name}"


@pytest.mark.parametrize("folder", ["envdoctor", "checks", "tests", ".ci"])
def test_no_registry_host_and_no_path_of_a_build_machine(folder: str) -> None:
    hosts = "|".join(rf"\b{a}\.{b}" for a, b in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org")))
    for path in (ROOT / folder).rglob("*"):
        if path.is_file() and path.suffix in (".py", ".toml", ".md", ".c", "") and "__pycache__" not in path.parts:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not re.search(hosts, text), f"{path} names the host of a package registry"


def test_no_visible_entry_beyond_the_card() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tops = {line.partition("/")[0] for line in listed.splitlines()}
    assert {top for top in tops if not top.startswith(".")} <= {
        "pyproject.toml",
        "README.md",
        "envdoctor",
        "tests",
        "checks",
    }


def test_modules_answer_one_question() -> None:
    long = [str(path.relative_to(ROOT)) for path in SOURCES if path.read_text(encoding="utf-8").count("\n") > 400]
    assert not long, f"longer than 400 lines: {long}"
