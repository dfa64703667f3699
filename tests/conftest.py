"""What all tests share: a plain environment, and patience on slow machines."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is no failure: tests assert no times beyond loose guards.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A suite started in the background ignores Ctrl-C, and so would all it starts: the tests that send it expect an answer.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a developer's shell may set and would change what is examined.
PREFIXES = ("PIP_", "UV_", "CONDA_", "NCCL_", "TORCH_NCCL_", "GLOO_", "SLURM_", "ENVDOCTOR_TEST_")
NAMES = (
    "VIRTUAL_ENV",
    "NO_COLOR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "MASTER_ADDR",
    "MASTER_PORT",
    "RANK",
    "WORLD_SIZE",
    "LC_ALL",
    "LC_MESSAGES",
    "LANG",
    "XDG_CONFIG_HOME",
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the shell that started the tests decides what they find."""
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield
