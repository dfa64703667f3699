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

# user:password@ of any URL, as RFC 3986 has it; a password may hold every character but / ? # and white space.
USERINFO = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<userinfo>[^/?#\s\"'<>]*)@")
TOKENS = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}"
    r"|pypi-[A-Za-z0-9_-]{16,}|sk-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*)"
)
NAMED = re.compile(
    r"(?P<name>\b[A-Za-z0-9_.-]*(?:token|secret|passw(?:or)?d|passwd|credential|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key)"
    r"(?:s|_[A-Za-z0-9_]*)?[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&,;}]+)",
    re.I,
)
# conda's token channels: https://conda.example/t/TOKEN/channel.
CONDA_TOKEN = re.compile(r"(?P<name>/t/)(?P<value>[A-Za-z0-9_-]{6,})(?=/)")
BEARER = re.compile(r"(?P<name>\b(?:bearer|basic)\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})", re.I)
KEY_PATH = re.compile(r"(?:/[\w.@+-]+)*/(?:\.ssh/[\w.@+-]+|[\w.@+-]+\.(?:pem|key|p12|pfx))(?![\w.])")
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
        if len(user) >= 3 and user not in COMMON_USERS:
            self._users.add(user)

    def _learn_text(self, text: str) -> None:
        if "://" in text and "@" in text:
            for match in USERINFO.finditer(text):
                # The user's part alone may be a plain word such as "git"; a password never is.
                user, _, password = match["userinfo"].partition(":")
                for secret in (password, _unquoted(password)) if password else (user,) if len(user) >= 12 else ():
                    if len(secret) >= 3:
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

    def text(self, text: str) -> str:
        """`text` without its secrets."""
        if self._secrets:
            if self._pattern is None:
                longest_first = sorted(self._secrets, key=len, reverse=True)
                self._pattern = re.compile("|".join(re.escape(secret) for secret in longest_first))
            text = self._pattern.sub(lambda match: self.token(match[0]), text)
        if "@" in text:
            text = USERINFO.sub(lambda match: f"{match['scheme']}{self._once(match['userinfo'])}@", text)
        text = TOKENS.sub(lambda match: self.token(match[0]), text)
        for pattern in (NAMED, CONDA_TOKEN, BEARER):
            text = pattern.sub(lambda match: f"{match['name']}{self._once(match['value'])}", text)
        text = KEY_PATH.sub(lambda match: self.token(match[0]), text)
        if self._home:
            text = re.sub(rf"{re.escape(self._home)}(?=[/\s\"':,;)]|$)", "~", text)
        for user in self._users:
            if user in text:
                text = re.sub(rf"(?<![\w-]){re.escape(user)}(?![\w-])", self.token(user), text)
        return text

    def _once(self, value: str) -> str:
        return value if "***" in value else self.token(value)

    def value(self, value: Any) -> Any:
        """A JSON value without its secrets, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)
