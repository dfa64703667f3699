"""The edits after which uv takes its packages from one index by default, or from its own again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from envdoctor.edits import uv
from envdoctor.edits.toml import Document
from envdoctor.edits.uv import Setting
from envdoctor.facts.uv import COMMANDS, UvFile, UvIndex, default_index

# Why a setting is to stay as it is, a word of the caller's; "" for one that may be changed.
Kept = Callable[[Setting, Document], str]


def without_password(url: str) -> str:
    """A URL without user and password, which newer uv masks when it shows its settings, and without a last slash."""
    try:
        parts = urlsplit(url.strip())
        return urlunsplit((parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower(), *parts[2:])).rstrip("/")
    except ValueError:
        return url


def same(one: str, other: str) -> bool:
    """Whether two URLs are one index."""
    return without_password(one) == without_password(other)


@dataclass(frozen=True)
class Wanted:
    """What is to be so afterwards.

    Attributes:
        url: of the default index; "" for uv's own.
        official: address of the official index, "" if it is not known: as good as none where `url` is "".
        user_file: where an index is added that no file has.
        old: uv is older than 0.4.23 and takes no [[index]].
    """

    url: str
    official: str
    user_file: str
    old: bool = False

    def met_by(self, found: UvIndex | None) -> bool:
        if found is None:
            return not self.url
        # One address with another password is another setting, but not another index.
        return found.url.rstrip("/") == (self.url or self.official).rstrip("/")


@dataclass
class Change:
    """What it takes.

    Attributes:
        documents: path -> the document, those that need no edit included.
        added: files that got an index they did not have.
        replaced: settings that were changed or removed, as they were.
        kept: a setting that stands in the way and is to stay, and why.
    """

    documents: dict[str, Document]
    added: set[str] = field(default_factory=set)
    replaced: list[Setting] = field(default_factory=list)
    kept: dict[Setting, str] = field(default_factory=dict)


def make(
    wanted: Wanted,
    files: Sequence[UvFile],
    documents: Mapping[str, Document],
    kept: Kept,
    variables: Iterable[UvIndex] = (),
) -> Change:
    """Change what has to be changed: first for every place of this user, then for the working directory.

    Args:
        files: that uv reads here, strongest first; the user's own may be absent.
        documents: of these files and of the user's own.
        kept: says of a setting why it may not be changed.
        variables: what UV_INDEX names: no default, but each hides an index of its name in every file.

    Raises:
        CannotEdit: a file is written in a way that the edits do not know.
    """
    change = Change(dict(documents))
    user = UvFile(wanted.user_file, "user")
    everywhere = (user, *(file for file in files if file.level == "system"))
    _satisfy(wanted, everywhere, user, change, kept)
    here, home = (*(file for file in files if file.level == "project"), *everywhere), user
    if any(file.level == "chosen" for file in files):
        here, home = tuple(files), files[0]
    _satisfy(wanted, here, home, change, kept, tuple(one for one in variables if one.variable == "UV_INDEX"))
    return change


def _satisfy(
    wanted: Wanted, files: Sequence[UvFile], home: UvFile, change: Change, kept: Kept, hiding: Sequence[UvIndex] = ()
) -> None:
    for command in COMMANDS:
        while True:
            found = _winner(files, change.documents, command, hiding)
            if wanted.met_by(found.index if found else None):
                break
            if found is None or found.index.level == "system":
                url = wanted.url or wanted.official
                document = change.documents[home.path]
                if not url or home.path in change.added or (wanted.old and _has(document, home, url)):
                    break
                change.added.add(home.path)
                change.documents[home.path] = uv.added(document, home.path, url, wanted.old)
                continue
            document = change.documents[found.index.path]
            if why := kept(found, document):
                change.kept[found] = why
                break
            change.replaced.append(found)
            edit = uv.changed(document, found, wanted.url) if wanted.url else uv.removed(document, found)
            change.documents[found.index.path] = edit


def _has(document: Document, file: UvFile, url: str) -> bool:
    """Whether a file has the index already, in the only way old uv knows, and it does not help."""
    return any(same(one.index.url, url) for one in uv.settings(document, file.path, file.level))


def _winner(
    files: Iterable[UvFile], documents: Mapping[str, Document], command: str, hiding: Sequence[UvIndex]
) -> Setting | None:
    told = [one for file in files for one in uv.settings(documents[file.path], file.path, file.level)]
    found = default_index([*hiding, *(one.index for one in told)], command)
    return next((one for one in told if one.index is found), None)
