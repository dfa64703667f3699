"""Packages: what pip's refusals mean, by what it asked for and what else it said."""

from __future__ import annotations

import re
from dataclasses import replace

from envdoctor.facts.log import Sighting
from envdoctor.readers.decisions import Context, value

# Every index that serves these serves them for all Pythons of their time: none at all means none for this one.
TORCH = re.compile(r"(?:torch|torchvision|torchaudio)(?![\w-])")
NO_CONNECTION = (
    "pip-new-connection",
    "pip-ssl",
    "pip-proxy",
    "pip-incomplete",
    "pip-wrong-version",
    "py-no-ssl",
    "pip-http",
)


def no_versions(seen: Sighting, context: Context) -> Sighting:
    """No version at all: of torch, no wheel has this Python's tag; of another package it may be the index."""
    if context.saw(*NO_CONNECTION):
        return replace(seen, kind="symptom")
    if TORCH.match(value(seen, "req")):
        return replace(seen, code="python-unsupported")
    return replace(seen, severity="warning")


def local_version(seen: Sighting, context: Context) -> Sighting | None:
    """A build tag that the index lacks is the fault only where pip saw other versions of the package."""
    none = context.saw("pip-none")
    return None if none is not None and none is not seen else seen
