"""Package settings: what an index, a trusted host or a lock file that a text shows is worth.

That pip works with them is the rule: they are notes, unless what fails in the text is their work.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from envdoctor.facts.log import Sighting
from envdoctor.knowledge import mirrors
from envdoctor.readers.decisions import Context, value

FAILED = ("pip-new-connection", "pip-incomplete", "pip-ssl", "pip-none", "uv-fetch", "uv-tls", "pip-http", "hf-offline")
# Addresses that never leave the machine or the cloud whose mirror they are.
NEAR = ("localhost", "127.", "10.", "192.168.", "172.")


def index(seen: Sighting, context: Context) -> Sighting | None:
    """An index by its address: one that is gone, one of CPU wheels, one with a password, one without TLS; or one that
    another setting overrules."""
    url = value(seen, "url")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    mirror = mirrors.pypi_mirror(url)
    if mirror is not None and mirror.status == "dead":
        return replace(seen, code="pip-mirror-dead", severity="error" if context.saw(*FAILED) else "warning")
    if parts.path.rstrip("/").endswith("/whl/cpu"):
        if context.saw("torch-cpu-build", "needs-gpu"):
            return replace(seen, code="pip-cpu-index", severity="error")
        shown = "gpu" in context.sections or "driver" in context.sections
        return replace(seen, code="pip-cpu-index", severity="warning") if shown else None
    if parts.password:
        return replace(seen, code="pip-config-secret")
    if "INDEX_URL" in value(seen, "key") and any(
        "INDEX" not in value(one, "key") and "index" in value(one, "key") and value(one, "url") != url
        for one in context.sightings
        if one.signature == seen.signature and "extra" not in one.quote and "Looking" not in one.quote
    ):
        return replace(seen, code="pip-config-shadowed")
    near = host.startswith(NEAR) or (mirror is not None and bool(mirror.intranet))
    return seen if parts.scheme == "http" and not near else None


def trusted(seen: Sighting, context: Context) -> Sighting | None:
    """For an index over plain HTTP the setting is needed; for one over https it turns the certificate check off."""
    host = value(seen, "host").rstrip(".")
    for one in context.sightings:
        if one.signature == "pip-index-told":
            try:
                parts = urlsplit(value(one, "url"))
                if parts.scheme == "https" and parts.hostname == host:
                    return seen
            except ValueError:
                continue
    return None


def locked(seen: Sighting, context: Context) -> Sighting | None:
    """A mirror in a lock file; an index of one's own is meant to stand there."""
    del context
    return seen if mirrors.pypi_mirror(value(seen, "url")) is not None else None


def uv_beside(seen: Sighting, context: Context) -> Sighting | None:
    """uv is used, pip's own settings name a mirror, and nothing tells uv of one."""
    told = [one for one in context.sightings if one.signature == "pip-index-told"]
    if any(value(one, "key").startswith("UV_") or "[[index]]" in one.quote for one in told):
        return None
    settings = (one for one in told if "Looking" not in value(one, "key") and " -i" not in value(one, "key"))
    return seen if any(mirrors.pypi_mirror(value(one, "url")) is not None for one in settings) else None


def foreign(seen: Sighting, context: Context) -> Sighting | None:
    """The files of a known mirror come from another place: its pages link back."""
    told = context.saw("pip-indexes")
    indexes = [url.strip() for url in value(told, "indexes").split(",")] if told else []
    if len(indexes) != 1 or mirrors.pypi_mirror(indexes[0]) is None:
        return None
    try:
        own = urlsplit(indexes[0]).hostname or ""
    except ValueError:
        return None
    same = own.split(".")[-3:] == value(seen, "host").split(".")[-3:] or own == value(seen, "host")
    return None if same else seen
