"""How our modules get into a Python that has none of them: their sources come on standard input.

`COMMAND` is all that stands on a command line. It reads a line with a number and as many bytes, a JSON object
compressed by zlib: {"boot": source of this module, "modules": {name: source}, "main": module, "request": {...}}. Then
`start` calls `main(request, whole)` of that module. All modules are imported first, or those that "first" names.
Standard input stays open and is the program's lifeline: when it ends, whoever started the program is gone.

Streamed to every node; Python 3.6 syntax, standard library only.
"""

import importlib
import importlib.abc
import importlib.util
import json
import os
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, Optional

COMMAND = (
    "import json,sys,zlib;i=sys.stdin.buffer;"
    "w=json.loads(zlib.decompress(i.read(int(i.readline()))).decode());exec(w['boot']);start(w)"
)


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports modules from their sources in a dictionary; packages above them are empty."""

    def __init__(self, sources: "Dict[str, str]") -> None:
        self.sources = sources
        self.packages = {name.rpartition(".")[0] for name in sources} | {name.partition(".")[0] for name in sources}

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Any":
        if name in self.sources or name in self.packages:
            return importlib.util.spec_from_loader(name, self, is_package=name in self.packages)
        return None

    def is_package(self, name: str) -> bool:
        return name in self.packages

    def get_source(self, name: str) -> "Optional[str]":
        return self.sources.get(name, "")

    def get_code(self, name: str) -> "Any":
        return compile(self.sources.get(name, ""), "<%s>" % name, "exec")

    def create_module(self, spec: object) -> "Optional[ModuleType]":
        return None


def start(whole: "Dict[str, Any]") -> None:
    """Run the main function of what came on standard input."""
    sys.meta_path.insert(0, Sources(dict(whole["modules"])))
    # Nothing that lies about in the user's paths may hide a module of the standard library from ours.
    path = sys.path
    library = os.path.dirname(os.__file__)
    sys.path = [entry for entry in path if entry.startswith(library) and "-packages" not in entry]
    for name in whole.get("first", whole["modules"]):
        importlib.import_module(name)
    sys.path = path
    sys.modules[whole["main"]].main(whole["request"], whole)


def line(whole: "Dict[str, Any]", main: str, request: "Dict[str, Any]") -> bytes:
    """What starts another module of the same sources, for the standard input of `COMMAND`."""
    data = zlib.compress(json.dumps(dict(whole, main=main, request=request)).encode("ascii"))
    return b"%d\n" % len(data) + data
