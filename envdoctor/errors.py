"""What can go wrong for the doctor itself. Every message is one sentence that names the input and the way out."""

from __future__ import annotations


class EnvdoctorError(Exception):
    """Base of all errors a user may be shown; its text is shown as it is, without a traceback.

    Attributes:
        zh: the sentence in Chinese; the English one where nobody has said it in Chinese.
    """

    exit_code = 3

    def __init__(self, message: str, zh: str = "") -> None:
        super().__init__(message)
        self.zh = zh or message


class UsageError(EnvdoctorError):
    """Input that cannot be used: a wrong argument, an unreadable file, a broken snapshot."""

    exit_code = 2


class ExaminationError(EnvdoctorError):
    """No fact could be had at all, so there is nothing to judge."""

    exit_code = 3


class CannotMend(EnvdoctorError):
    """A plan that could not be applied or undone; the message says what is as it was and what is not."""

    exit_code = 3


class Interrupted(EnvdoctorError):
    """Ctrl-C while a plan was being applied, verified or undone; the message says what of it is done."""

    exit_code = 130


class Changed(EnvdoctorError):
    """A file is no longer what the plan or the undo record says, so it is left alone.

    Attributes:
        path: the file.
        expected, found: its bytes; None for no file.
    """

    exit_code = 1

    def __init__(self, message: str, path: str, expected: bytes | None, found: bytes | None, zh: str = "") -> None:
        super().__init__(message, zh)
        self.path = path
        self.expected = expected
        self.found = found
