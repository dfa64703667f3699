"""What can go wrong for the doctor itself. Every message is one sentence that names the input and the way out."""

from __future__ import annotations


class EnvdoctorError(Exception):
    """Base of all errors a user may be shown; its text is shown as it is, without a traceback."""

    exit_code = 3


class UsageError(EnvdoctorError):
    """Input that cannot be used: a wrong argument, an unreadable file, a broken snapshot."""

    exit_code = 2


class ExaminationError(EnvdoctorError):
    """No fact could be had at all, so there is nothing to judge."""

    exit_code = 3
