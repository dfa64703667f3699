"""Shows the report's first lines as soon as they are certain, while slower facts are still being observed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from envdoctor.cli import options

if TYPE_CHECKING:
    from envdoctor.load import Loaded
    from envdoctor.model import Node, TopicFile
    from envdoctor.redact import Redactor
    from envdoctor.render import Style


class Live:
    """Prints the heading and topic lines in their order, each once every fact it stands on has come.

    Args:
        loaded: the check files once they are loaded, None before.
        node: who is examined; name and Python version come with the facts.
        asked: the fact about the question itself.
        before: called before a piece is printed, to make room on the terminal.
    """

    def __init__(
        self,
        loaded: Callable[[], Loaded | None],
        names: list[str],
        node: Node,
        asked: object,
        style: Style,
        redactor: Redactor,
        before: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._names = names
        self._node = node
        self._sections: dict[str, object] = {"asked": asked}
        self._style = style
        self._redactor = redactor
        self._before = before
        self._done = 0
        self.printed = ""

    def record(self, record: dict[str, Any]) -> None:
        """Take a record of the patient; print what has become certain."""
        from envdoctor import decode, facts
        from envdoctor.model import Missing

        name = str(record.get("fact", record.get("missing", "")))
        if name not in facts.KINDS:
            return
        if "fact" in record:
            self._redactor.learn(record.get("value"))
            self._sections[name] = decode.fact(name, record.get("value"))
        else:
            self._sections[name] = Missing(name, str(record.get("reason", "")), str(record.get("detail", "")))
        loaded = self._loaded()
        if loaded is not None and {"host", "python"} <= set(self._sections):
            self._advance(loaded)

    def _advance(self, loaded: Loaded) -> None:
        from envdoctor import decode, judgement
        from envdoctor.examination import MADE_BY
        from envdoctor.snapshot import Snapshot

        names = judgement.asked(self._names, [Snapshot(self._node, "", MADE_BY, self._sections)], loaded)
        files = judgement.chosen(loaded, names)[0]
        known = set(decode.by_type(self._sections))
        ready = next((n for n, file in enumerate(files) if not judgement.facts_of(file) <= known), len(files))
        # A topic of several files is ready with its last.
        while 0 < ready < len(files) and files[ready].topic.name == files[ready - 1].topic.name:
            ready -= 1
        if ready > self._done or not self.printed:
            self._done = ready
            self._show(loaded, files[:ready])

    def _show(self, loaded: Loaded, files: tuple[TopicFile, ...]) -> None:
        from envdoctor import judgement
        from envdoctor.examination import MADE_BY, node_of
        from envdoctor.render import text
        from envdoctor.snapshot import Snapshot

        node = node_of(self._node, self._sections)
        report = judgement.judge([Snapshot(node, "", MADE_BY, self._sections)], loaded, self._names, only=files)
        document = text.opening(report, self._style, self._redactor, len({file.topic.name for file in files}))
        if document.startswith(self.printed):
            self._before()
            options.write(document[len(self.printed) :], None)
            self.printed = document

    def finish(self, document: str) -> str:
        """What of the whole document is still to be printed."""
        if document.startswith(self.printed):
            return document[len(self.printed) :]
        # A line that was certain has changed, which no fact should make possible: say everything again.
        sys.stderr.write("envdoctor: the lines above are superseded\n")
        return document
