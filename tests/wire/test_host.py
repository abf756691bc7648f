"""Where PostHog is, and the shape of its keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.host import EU, US, normalize_host, require_token, shorten
from hogbox.errors import ConfigurationError


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (None, US),
        ("", US),
        (" \n", US),
        ("https://us.i.posthog.com", US),
        ("https://us.i.posthog.com/", US),
        (" https://eu.i.posthog.com/ ", EU),
        ("https://app.posthog.com", US),
        ("https://us.posthog.com/", US),
        ("https://eu.posthog.com", EU),
        ("HTTPS://EU.PostHog.com", EU),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://example.com/ingest/", "https://example.com/ingest"),
        ("https://app.posthog.com/ingest", "https://app.posthog.com/ingest"),
    ],
)
def test_a_host_becomes_the_base_of_paths(host: str | None, address: str) -> None:
    assert normalize_host(host) == address
    assert normalize_host(address) == address


@pytest.mark.parametrize(
    "host",
    [
        "us.i.posthog.com",
        "localhost:8000",
        "ftp://us.i.posthog.com",
        "https://",
        "https://:8000",
        "https://us.i.posthog.com?a=1",
        "https://us.i.posthog.com/#a",
        "https://us.i.posthog.com https://eu.i.posthog.com",
        "https://us.i.post\nhog.com",
        "http://[::1",
        "https://us.i.posthog.com:port",
        "https://us.i.posthog.com:99999",
        "https://us.i.posthog.com:0",
    ],
)
def test_p8_what_is_no_address_is_refused_with_what_to_mend(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an address such as https://us\.i\.posthog\.com: correct"):
        normalize_host(host)


@given(st.text())
def test_any_text_is_an_address_or_refused(host: str) -> None:
    for address in (host, f"https://{host}"):
        try:
            normalized = normalize_host(address)
        except ConfigurationError:
            continue
        assert normalize_host(normalized) == normalized
        assert not normalized.endswith("/")


@pytest.mark.parametrize("token", ["phc_example", " phc_example\n", "x" * 64, "an old token"])
def test_a_token_is_trimmed(token: str) -> None:
    assert require_token(token) == token.strip()


@pytest.mark.parametrize("token", [None, "", " \n"])
def test_p8_a_missing_token_is_said_with_both_ways_to_pass_it(token: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"pass project_token=\.\.\. or set POSTHOG_PROJECT_TOKEN"):
        require_token(token)


@pytest.mark.parametrize("token", ["phx_secret_of_a_person", " phs_secret_of_a_project"])
def test_p9_a_secret_key_is_no_project_token_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigurationError, match="the project token is a secret key") as caught:
        require_token(token)
    assert "secret_of" not in str(caught.value)


@pytest.mark.parametrize("token", ["x" * 65, "phc_größe", "phc_\0"], ids=["too long", "not ascii", "NUL"])
def test_p8_a_token_that_posthog_refuses_is_refused_and_shortened(token: str) -> None:
    with pytest.raises(ConfigurationError, match="at most 64 ASCII characters") as caught:
        require_token(token)
    assert shorten(token) in str(caught.value)


@pytest.mark.parametrize(
    ("token", "shown"), [("phc_abcdefgh", "phc_abcd…"), ("phc_abcde", "phc_abcd…"), ("phc_abcd", "phc_abcd"), ("", "")]
)
def test_p9_a_token_is_shortened_for_logs(token: str, shown: str) -> None:
    assert shorten(token) == shown
