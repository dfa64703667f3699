"""edits/pip_trust.py"""

from __future__ import annotations

from envdoctor.edits import pip_trust
from tests.checks.pip_configs import index
from tests.edits.test_pip_levels import A, levels

USER = "/home/ada/.config/pip/pip.conf"


def test_a_plain_address_is_trusted_by_every_command() -> None:
    found = levels({"user": index(A, "trusted-host = x", "[install]", "trusted-host =", "  y", "  z")})
    pip_trust.trust(found, "http://ada:pw@n.example:81/simple")
    (edit,) = found.edits()
    assert edit.after == index(
        A, "trusted-host = x n.example:81", "[install]", "trusted-host =", "  y", "  z n.example:81"
    ).encode()  # fmt: skip


def test_what_another_may_write_only_is_written_over_with_all_of_it() -> None:
    found = levels({"etc": "[install]\ntrusted-host = x y"}, locked=("etc",))
    pip_trust.trust(found, "http://n.example/simple")
    (edit,) = found.edits()
    assert edit.path == USER and b"[install]\ntrusted-host = x y n.example\n" in (edit.after or b"")


def test_only_what_nothing_needs_is_taken_away() -> None:
    text = index(A, "trusted-host = a.example b.example n.example", "find-links = http://b.example/whl")
    found = levels({"user": text})
    gone = pip_trust.distrust(found, "https://n.example/simple", ["http://a.example/simple", "http://b.example/s"])
    assert gone == ("a.example", "n.example")
    assert found.edits()[0].after == text.replace("a.example b.example n.example", "b.example").encode()
    assert pip_trust.distrust(found, "", ["http://c.example/simple"]) == ()


def test_another_users_file_is_asked_for_only_where_a_certificate_is_hidden() -> None:
    found = levels({"etc": "[global]\ntrusted-host = a.example n.example"}, locked=("etc",))
    assert pip_trust.distrust(found, "", ["http://a.example/simple"]) == ()
    assert found.edits() == ()
    assert pip_trust.distrust(found, "https://n.example/simple", ["http://a.example/simple"]) == ("n.example",)
    assert [edit.path for edit in found.edits()] == ["/etc/pip.conf"]
