"""Tracing headers as they come, and as they count."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox._wire.tracing import clean_header, request_properties


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ada", "ada"),
        ("  ada\t", "ada"),
        ("a\x00d\x1fa\x7f\x9f", "ada"),
        ("\x00 \x1f", None),
        ("", None),
        (None, None),
        (7, None),
        (b"ada", None),
        ([7, "ada", "bob"], "ada"),
        ([], None),
        ("u" * 2000, "u" * 1000),
        ("Zo\u00eb", "Zo\u00eb"),
    ],
)
def test_the_value_of_a_header(value: Any, expected: str | None) -> None:
    assert clean_header(value) == expected


def test_what_is_known_of_a_request() -> None:
    assert request_properties(url="http://x/", method="GET", path="/", user_agent=None, ip="") == {
        "$current_url": "http://x/",
        "$request_method": "GET",
        "$request_path": "/",
    }


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("6.6.6.6, 7.7.7.7", None),
        ("/run/app.sock", None),
        ("testclient", None),
    ],
)
def test_an_address_is_an_ip_address_or_left_out(ip: str, expected: str | None) -> None:
    assert request_properties(ip=ip).get("$ip") == expected
