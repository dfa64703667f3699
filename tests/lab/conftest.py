"""Fake libraries are compiled once, environments made once, machines set up as they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import needs
from tests.lab.machine import Machine, Torch
from tests.lab.stage import Stage, build_environment, build_libraries


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs.namespaces()
    for program, package in (("gcc", "gcc"), ("ldconfig", "libc-bin"), ("setpriv", "util-linux")):
        needs.program(program, package)
    return build_libraries(tmp_path_factory.mktemp("libraries"))


@pytest.fixture
def stage(libraries: Path, tmp_path: Path) -> Callable[[Machine], Stage]:
    """Sets a machine up."""
    return lambda machine: Stage(machine, tmp_path / "machine", libraries)


@pytest.fixture(scope="session")
def environment(libraries: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Torch], Path]:
    """The Python of an environment that holds a torch build."""
    base = tmp_path_factory.mktemp("environments")
    return lambda torch: build_environment(base / torch.version, torch)
