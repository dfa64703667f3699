"""Tests mirror the tree: tests/checks/test_<topic>.py for checks/<topic>.py, tests/test_<module>.py for a module."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CHECKS = ROOT / "checks"
SHARED = ROOT.parent / "shared"
