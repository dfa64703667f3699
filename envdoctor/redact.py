"""What leaves the machine: credentials, tokens and names replaced by hashes under a key of the run.

Equal values have equal hashes within a run (or under one `--redact-key`), so that a reader can see that two settings
agree without learning them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

# All patterns take time in proportion to the text, whatever is in it: a snapshot may come from anywhere.
#
# user:password@ of any URL, as RFC 3986 has it; a password may hold every character but / ? # and white space.
USERINFO = re.compile(r"(?P<name>://)(?P<value>[^/?#\s\"'<>]*)(?=@)")
# People write such a password unquoted all the same; what looks like a port is none.
ODD_USERINFO = re.compile(
    r"(?P<name>://)(?P<value>[^/?#\s\"'<>:@]{0,128}:(?!\d{1,5}[/?#])[^\s\"'<>]{0,256})(?=@[\w\[])"
)
# Proxies are often set without a scheme: user:password@proxy:3128. A digest of a container image is no host.
BARE_USERINFO = re.compile(
    r"(?<![\w@/:.%+*-])(?P<name>)(?P<value>[\w.%+-]{1,64}:(?![/\\])[^\s@\"'<>,;]{1,256})(?=@(?!sha\d+:)[\w\[])"
)
# A text that was cut within a password shows its beginning; a port at the end is none.
CUT_USERINFO = re.compile(r"(?P<name>://)(?P<value>[^/?#\s\"'<>:@]{1,128}:(?!\d{0,5}$)[^/?#\s@:\]]{1,256})$")
USERINFOS = (USERINFO, ODD_USERINFO, BARE_USERINFO)
TOKENS = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}"
    r"|pypi-[A-Za-z0-9_-]{16,}|sk-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]*)"
)
WORDS = r"(?:token|secret|passw(?:or)?d|passphrase|credential|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key)"
SECRET_NAME = re.compile(WORDS, re.I)
NAMED = re.compile(
    rf"(?<![A-Za-z0-9_./-])(?P<name>[A-Za-z0-9_.-]*{WORDS}"
    r"(?:s|_[A-Za-z0-9_]{0,40})?[\"']?\s{0,8}[=:]\s{0,8}[\"']?)(?P<value>[^\s\"'&,;}]+)",
    re.I,
)
OPTION = re.compile(rf"(?P<name>--[a-z-]{{0,32}}{WORDS}\s+)(?P<value>[^\s\"'-][^\s\"']*)", re.I)
QUERY = re.compile(
    r"(?P<name>[?&;](?:sig|signature|key|auth|pwd|pass|jwt|x-amz-[a-z-]{1,32}|x-goog-[a-z-]{1,32})=)(?P<value>[^\s\"'&#;]+)",
    re.I,
)
# conda's token channels: https://conda.example/t/TOKEN/channel.
CONDA_TOKEN = re.compile(r"(?P<name>/t/)(?P<value>[A-Za-z0-9_-]{6,})(?=/)")
BEARER = re.compile(r"(?P<name>\bbearer\s{1,8})(?P<value>[A-Za-z0-9._~+/=-]{8,})", re.I)
# "basic" is a word as well: what follows it as a credential is base64 and no word.
BASIC = re.compile(r"(?P<name>\b[Bb](?i:asic)\s{1,8})(?=[a-z]*[A-Z0-9+/=])(?P<value>[A-Za-z0-9+/]{6,}={0,2})")
HEADER = re.compile(
    r"(?P<name>authorization[\"']?\s{0,8}[=:]\s{0,8}[\"']?(?:[a-z]+\s+)?)(?P<value>[^\s\"',]{4,})", re.I
)
NAMES = (NAMED, OPTION, QUERY, CONDA_TOKEN, HEADER, BEARER, BASIC)
PATH = re.compile(r"(?:/[\w.@+-]+)+")
KEY_FILE = re.compile(r"/\.ssh/[\w.@+-]|[\w@+-]\.(?:pem|key|p12|pfx)$")
MOST_LEARNT = 2000  # secrets and user names; those of a hostile snapshot could be a million
# Names that everyone has, or that are words: replacing them would hide nothing and garble the text.
COMMON_USERS = frozenset(
    {"root", "user", "users", "ubuntu", "admin", "test", "home", "debian", "centos", "ec2-user", "opc", "nobody"}
)
# Fields of facts that hold somebody's login name: who holds a GPU or a port.
USER_FIELDS = frozenset({"user"})


class Redactor:
    """Replaces what must not leave the machine.

    Args:
        key: the key of the hashes; made for this run unless given.
        home: the user's home folder, shown as `~`.
        user: the user's login name.
    """

    def __init__(self, key: bytes | None = None, home: str = "", user: str = "") -> None:
        self._key = key or secrets.token_bytes(32)
        self._home = home.rstrip("/") if len(home) > 4 else ""
        self._users: set[str] = set()
        self._learn_user(user)
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    @classmethod
    def of_this_user(cls, key: bytes | None = None) -> Redactor:
        home = os.path.expanduser("~")
        return cls(key, home, os.environ.get("USER") or os.environ.get("LOGNAME") or os.path.basename(home))

    def token(self, value: str) -> str:
        """What is shown in place of a value."""
        return f"***{hmac.new(self._key, value.encode('utf-8', 'surrogateescape'), hashlib.sha256).hexdigest()[:8]}***"

    @property
    def mark(self) -> str:
        """What tells the key from another without telling it: hashes of documents with one mark can be compared."""
        return hmac.new(self._key, b"envdoctor: the mark of a key", hashlib.sha256).hexdigest()[:8]

    def learn(self, value: Any) -> None:
        """Remember the credentials and user names inside a fact: they are replaced wherever else they turn up."""
        self._walk(value, self._learn_text)
        self._walk_users(value)

    def _walk_users(self, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                if key in USER_FIELDS and isinstance(item, str):
                    self._learn_user(item)
                self._walk_users(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._walk_users(item)

    def _learn_user(self, user: str) -> None:
        if len(user) >= 3 and user not in COMMON_USERS and len(self._users) < MOST_LEARNT:
            self._users.add(user)

    def _learn_text(self, text: str) -> None:
        if "@" not in text:
            return
        for pattern in USERINFOS:
            for match in pattern.finditer(text):
                # The user's part alone may be a plain word such as "git"; a password never is. Without a scheme it
                # may be no password at all: what is short is not looked for elsewhere.
                user, _, password = match["value"].partition(":")
                least = 6 if pattern is BARE_USERINFO else 3
                for secret in (password, _unquoted(password)) if password else (user,) if len(user) >= 12 else ():
                    if len(secret) >= least and "***" not in secret and len(self._secrets) < MOST_LEARNT:
                        self._secrets.add(secret)
                        self._pattern = None

    @staticmethod
    def _walk(value: Any, visit: Callable[[str], None]) -> None:
        if isinstance(value, str):
            visit(value)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                Redactor._walk(key, visit)
                Redactor._walk(item, visit)
        elif isinstance(value, (list, tuple)):
            for item in value:
                Redactor._walk(item, visit)

    def text(self, text: str, names: bool = True) -> str:
        """`text` without its secrets. Without `names` the home folder and the users' names stay in it."""
        if self._secrets:
            if self._pattern is None:
                longest_first = sorted(self._secrets, key=len, reverse=True)
                self._pattern = re.compile("|".join(re.escape(secret) for secret in longest_first))
            text = self._pattern.sub(lambda match: self.token(match[0]), text)
        if "@" in text:
            for pattern in USERINFOS:
                text = pattern.sub(self._hidden, text)
        if "://" in text:
            text = CUT_USERINFO.sub(self._hidden, text)
        text = TOKENS.sub(lambda match: self.token(match[0]), text)
        for pattern in NAMES:
            text = pattern.sub(self._hidden, text)
        text = PATH.sub(self._path, text)
        if not names:
            return text
        text = self._shortened(text)
        for user in self._users:
            if user in text:
                text = re.sub(rf"(?<![\w-]){re.escape(user)}(?![\w-])", self.token(user), text)
        return text

    def own(self, text: str) -> str:
        """`text` for this user's own eyes: without its secrets, the home folder as `~`, and names as they are."""
        return self._shortened(self.text(text, names=False))

    def _shortened(self, text: str) -> str:
        return re.sub(rf"{re.escape(self._home)}(?=[/\s\"':,;)]|$)", "~", text) if self._home else text

    def _hidden(self, match: re.Match[str]) -> str:
        return match["name"] + (match["value"] if "***" in match["value"] else self.token(match["value"]))

    def _path(self, match: re.Match[str]) -> str:
        path = match[0].rstrip(".")
        return self.token(path) + match[0][len(path) :] if KEY_FILE.search(path) else match[0]

    def value(self, value: Any) -> Any:
        """A JSON value without its secrets, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._item(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _item(self, key: str, item: Any) -> Any:
        secret = isinstance(item, str) and item and "***" not in item and SECRET_NAME.search(key)
        return self.token(item) if secret else self.value(item)


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)
