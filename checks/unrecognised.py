"""Errors in a text that nothing else explains."""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("errors", 900, Text("other errors in a text", "文本中的其他错误"))

ERROR_UNRECOGNISED = Problem(
    code="error-unrecognised",
    severity=Severity.NOTE,
    title=Text("the text shows an error that envdoctor does not know", "文本中有 envdoctor 不认识的错误"),
    why=Text(
        "most such errors are the program's own; that the environment is sound is not said thereby",
        "这类错误大多来自程序本身；但这并不说明环境没有问题",
    ),
    help=Text(
        "look at the first error of the rank that failed first, and at the lines right above it",
        "请查看最先失败的 rank 的第一个错误，以及紧挨在它上面的几行",
    ),
    look="envdoctor check",
    confirm="grep -nE 'Error|WARN|FATAL' FILE | head",
)
