"""What stands between this machine and a package index: proxies, certificate bundles, hosts reached without a proxy."""

import os
import re

from . import reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .sections import Ask

PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
BUNDLES = (
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "UV_CERT",
    "CONDA_SSL_VERIFY",
)


def bundle(name: str, path: str) -> "Dict[str, Any]":
    """A certificate bundle that a setting names: a file or folder, and how many certificates it holds."""
    found: "Dict[str, Any]" = {"name": name, "path": path, "exists": reading.exists(path), "certificates": 0}
    if not found["exists"]:
        return found
    if os.path.isdir(reading.rooted(path)):
        found["certificates"] = len(reading.names(path))
        return found
    data = reading.raw(path, 8 << 20)
    if data is None:
        found["readable"] = False
    else:
        found["certificates"] = len(re.findall(b"-----BEGIN (?:TRUSTED )?CERTIFICATE-----", data))
    return found


def network_settings(ask: "Ask") -> "Dict[str, Any]":
    environ = os.environ
    named: "List[Dict[str, Any]]" = []
    for name in BUNDLES:
        value = environ.get(name) or ""
        if value and value.lower() not in ("true", "false", "0", "1", "truststore"):
            named.append(bundle(name, value))
    config = ask.facts.get("pip-config") or {}
    for value in config.get("values", ()):
        if value["key"] == "cert" and value["value"] and not value.get("variable"):
            named.append(bundle("%s:%d" % (value["file"], value["line"]), value["value"]))
    return {
        "proxies": [{"name": name, "url": environ[name]} for name in PROXIES if environ.get(name)],
        "no_proxy": environ.get("no_proxy") or environ.get("NO_PROXY") or "",
        "bundles": named,
    }
