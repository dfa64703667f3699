"""Finds shared libraries as ld.so of glibc does, so that one can say which copy a run would load without running it.

The order is that of ld.so(8): DT_RPATH of the library that asks and of those that loaded it, unless it has a
DT_RUNPATH; LD_LIBRARY_PATH; its DT_RUNPATH; /etc/ld.so.cache; the standard folders. Folders of glibc-hwcaps and the
tokens $LIB and $PLATFORM are not followed.
"""

import os

from . import elf, ld_cache, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

STANDARD = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
MOST_LOADED = 400


class Loaded(object):
    """A library that a run would map.

    Attributes:
        through: "start" for what is opened by its path, "preload", "rpath", "LD_LIBRARY_PATH", "runpath", "ldconfig"
            or "standard folder".
        by: the library that asked for it, None for what is opened by its path.
    """

    def __init__(self, path: str, library: "elf.Library", through: str, by: "Optional[Loaded]") -> None:
        self.path = path
        self.library = library
        self.through = through
        self.by = by


def library_path(value: str, folder: str) -> "List[str]":
    """The folders of an LD_LIBRARY_PATH; an empty part is the working directory."""
    return [part or folder for part in value.replace(";", ":").split(":")] if value else []


def cache(data: bytes, machine: int) -> "Dict[str, str]":
    """name -> path of the libraries in /etc/ld.so.cache for this machine, the first entry of a name winning."""
    return {name: paths[0] for name, paths in ld_cache.libraries(data, machine).items()}


class Loader(object):
    """A run's libraries, as far as they are known without running it."""

    def __init__(self, search: "List[str]", cached: "Callable[[int], Dict[str, str]]") -> None:
        self.search = search  # folders of LD_LIBRARY_PATH
        self.cached = cached
        self.loaded: "List[Loaded]" = []
        self.names: "Dict[str, Loaded]" = {}
        self.absent: "List[Tuple[str, Loaded]]" = []
        self.main: "Optional[Loaded]" = None
        self.known: "Dict[str, Optional[elf.Library]]" = {}

    def read(self, path: str) -> "Optional[elf.Library]":
        if path not in self.known:
            self.known[path] = elf.read(path)
        return self.known[path]

    def program(self, path: str, preload: "List[str]") -> None:
        """Start with a program and the libraries of its LD_PRELOAD, which come before all that the program needs."""
        library = self.read(path)
        if library is None:
            return
        self.main = self._add(path, library, "start", None)
        first = [self.main]
        for name in preload:
            found = self._find(name, self.main)
            if found is not None:
                found.through = "preload"
                first.append(found)
        self._follow(first)

    def start(self, path: str) -> "Optional[Loaded]":
        """Load the file at `path` and all it needs, breadth first as ld.so does. None where it is no library."""
        library = self.read(path)
        if library is None:
            return None
        first = self._add(path, library, "start", self.main)
        self._follow([first])
        return first

    def open(self, name: str, by: "Loaded") -> "Optional[Loaded]":
        """What dlopen(name) in the code of `by` would load; an absent one is not held against anyone."""
        known = self.names.get(name)
        if known is not None:
            return known
        found = self._find(name, by)
        if found is None:
            return None
        self._follow([found])
        return found

    def _follow(self, queue: "List[Loaded]") -> None:
        while queue and len(self.loaded) < MOST_LOADED:
            asking = queue.pop(0)
            for name in asking.library.needed:
                if name in self.names:
                    continue
                found = self._find(name, asking)
                if found is not None:
                    queue.append(found)
                elif all(name != known for known, _ in self.absent):
                    self.absent.append((name, asking))

    def _add(self, path: str, library: "elf.Library", through: str, by: "Optional[Loaded]") -> "Loaded":
        loaded = Loaded(path, library, through, by)
        self.loaded.append(loaded)
        for name in (os.path.basename(path), library.soname):
            if name:
                self.names.setdefault(name, loaded)
        return loaded

    def _find(self, name: str, by: "Loaded") -> "Optional[Loaded]":
        for through, path in self._candidates(name, by):
            library = self.read(path)
            # ld.so passes over files of another machine.
            if library is not None and library.machine == by.library.machine:
                return self._add(path, library, through, by)
        return None

    def _candidates(self, name: str, by: "Loaded") -> "List[Tuple[str, str]]":
        if "/" in name:
            return [("start", name)]
        places: "List[Tuple[str, str]]" = []
        if not by.library.runpath:
            chain: "Optional[Loaded]" = by
            while chain is not None:
                if not chain.library.runpath:
                    places += [("rpath", folder) for folder in _folders(chain.library.rpath, chain.path)]
                chain = chain.by
        places += [("LD_LIBRARY_PATH", folder) for folder in self.search]
        places += [("runpath", folder) for folder in _folders(by.library.runpath, by.path)]
        found = [(through, os.path.join(folder, name)) for through, folder in places]
        cached = self.cached(by.library.machine).get(name)
        if cached:
            found.append(("ldconfig", cached))
        return found + [("standard folder", os.path.join(folder, name)) for folder in STANDARD]


def _folders(parts: "List[str]", path: str) -> "List[str]":
    origin = os.path.dirname(reading.link(path))
    return [part.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for part in parts if part]
