"""envdoctor/redact.py"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.redact import Redactor

KEY = b"k" * 32


def redactor(**who: str) -> Redactor:
    return Redactor(KEY, **who)


@pytest.mark.parametrize(
    "text",
    [
        "https://bob:s3cr3tword@mirror.example/simple",
        "http://s3cr3tword-is-the-token@mirror.example/simple",
        "index-url = https://bob:p@s3cr3tword@mirror.example/simple",
        "socks5h://u:s3cr3tword@10.0.0.1:1080",
        "Authorization: Bearer s3cr3tword1234",
        "password=s3cr3tword",
        'api_key: "s3cr3tword"',
        "HF_TOKEN=s3cr3tword",
        "https://x.example/simple?token=s3cr3tword&a=1",
        "AWS_SECRET_ACCESS_KEY=s3cr3tword",
        "https://conda.example/t/s3cr3tword/forge",
        "http://bob:s3cr3t/word#s3cr3tword@proxy.example:8080/x",
        "http://bob:?s3cr3tword@proxy.example:8080",
        "bob:s3cr3tword@proxy.example:3128",
        "proxy=bob:s3cr3t/#s3cr3tword@10.0.0.1:3128",
        "http_proxy: 'bob:s3cr3tword@[fe80::1]:3128'",
        "ERROR: could not reach http://bob:s3cr3tword",
        "https://blob.example/wheel.whl?sv=1&sig=s3cr3tword%3D",
        "https://s3.example/a?X-Amz-Signature=s3cr3tword&X-Amz-Date=2026",
        "authorization: Digest s3cr3tword",
        "Proxy-Authorization: Basic s3cr3tword",
        "curl -H 'Basic s3cr3tword=='",
        "twine upload --password s3cr3tword",
        "{'password': 's3cr3tword'}",
    ],
)
def test_secrets_go(text: str) -> None:
    hidden = redactor().text(text)
    assert "s3cr3tword" not in hidden
    assert "***" in hidden


@pytest.mark.parametrize("token", ["ghp_" + "a" * 36, "hf_" + "B" * 30, "AKIA" + "A" * 16, "glpat-" + "x" * 20])
def test_known_tokens_go_wherever_they_stand(token: str) -> None:
    assert token not in redactor().text(f"log: {token}, end")


@pytest.mark.parametrize(
    "text",
    [
        "https://mirrors.aliyun.com/pypi/simple",
        "TOKENIZERS_PARALLELISM=false",
        "git+https://github.com/pytorch/pytorch@v2.7.1",
        "nvidia-nccl-cu12==2.26.2",
        "MASTER_PORT=29500, key: value",
        "/opt/envs/train/bin/python",
        "http://proxy.example:8080 and http://[::1]:29500",
        "http://mirror.example:8080/simple/@scope",
        "registry.example/torch:2.7@sha256:abcdef",
        "/usr/bin:/opt/homebrew/opt/python@3.11/bin",
        "basic installation, bearer of",
        "cannot read /etc/passwd: Permission denied",
        "PATH=/usr/local/cuda/bin:/usr/bin",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redactor().text(text) == text


def test_a_learnt_password_goes_everywhere() -> None:
    one = redactor()
    one.learn({"pip": {"values": [{"url": "https://bob:hunter%212@mirror.example/simple"}]}})
    assert "hunter" not in one.text("ERROR: 401 for user bob with hunter!2 (hunter%212)")


def test_equal_values_stay_equal_and_keys_differ() -> None:
    text = "https://bob:s3cr3tword@a.example"
    assert redactor().text(text) == redactor().text(text)
    assert Redactor().text(text) != Redactor().text(text)


def test_home_user_and_key_paths() -> None:
    one = redactor(home="/home/alice", user="alice")
    assert one.text("/home/alice/.config/pip/pip.conf:3") == "~/.config/pip/pip.conf:3"
    assert one.text("/home/alicea/x") == "/home/alicea/x"
    assert "alice" not in one.text("process 12 of alice")
    assert "id_rsa" not in one.text("identity file /etc/keys/.ssh/id_rsa")
    assert "corp.pem" not in one.text("cert = /etc/ssl/private/corp.pem")
    assert redactor(home="/", user="root").text("/root of root") == "/root of root"


def test_user_names_in_facts_are_learnt() -> None:
    one = redactor()
    one.learn({"gpu": {"gpus": [{"processes": [{"pid": 7, "user": "carol"}, {"user": "root"}]}]}})
    assert "carol" not in one.text("process 7 of carol holds 30 GB")
    assert one.text("root and caroline") == "root and caroline"


def test_values_are_walked_with_their_keys() -> None:
    hidden = redactor().value(
        {"https://a:s3cr3tword@x": ["HF_TOKEN=s3cr3tword", 3, None, True, ("password=s3cr3tword",)]}
    )
    assert "s3cr3tword" not in str(hidden)
    assert next(iter(hidden.values()))[1:4] == [3, None, True]


@given(
    st.text(min_size=4).filter(
        lambda secret: (
            not set(secret) & set("/?# \t\n\r\"'<>\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")
            and not any(c.isspace() for c in secret)
        )
    )
)
def test_any_password_in_a_url_goes(secret: str) -> None:
    told = redactor().text(f"see https://bob:{secret}@host.example/simple now")
    assert told.startswith("see https://***")
    assert f"bob:{secret}@" not in told


def test_redacting_twice_changes_nothing() -> None:
    once = redactor().text("https://bob:s3cr3tword@a.example HF_TOKEN=s3cr3tword")
    assert redactor().text(once) == once


@pytest.mark.parametrize(
    "unit",
    ["a-", "token_", "://a:", "/a", "a.b:", "--password ", "secret ", "Bearer ", "eyJaaaaaaaaaaa.", "x@y:", "?sig=&"],
)
def test_hostile_text_takes_time_in_proportion(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    began = time.monotonic()
    one = redactor(home="/home/alice", user="alice")
    one.learn(text)
    one.text(text + "@")
    assert time.monotonic() - began < 3


def test_a_million_names_and_passwords_do_not_stall_it() -> None:
    one = redactor()
    one.learn([{"user": f"user{n}", "url": f"http://u:password{n}@h"} for n in range(20_000)])
    began = time.monotonic()
    for _ in range(200):
        one.text("nothing of anybody " * 20)
    assert time.monotonic() - began < 3
    assert "password19999" not in one.text("http://u:password19999@h")


def test_a_value_under_the_name_of_a_secret_goes() -> None:
    assert redactor().value({"pip_password": "s3cr3tword", "secret": ["HF_TOKEN"], "tokens": 3}) == {
        "pip_password": redactor().token("s3cr3tword"),
        "secret": ["HF_TOKEN"],
        "tokens": 3,
    }
