"""Settings: arguments before the environment before defaults; what can't work is refused with what to do."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pytest

from hogbox._settings.client import ClientSettings, require_prefix
from hogbox.errors import ConfigurationError
from hogbox.settings import DeliverySettings

TOKEN = {"POSTHOG_PROJECT_TOKEN": "phc_example"}

COMPRESSION = "POSTHOG_CAPTURE_COMPRESSION"

VALUES: list[tuple[str, str, Any]] = [
    ("batch_events", "7", 7),
    ("batch_bytes", "1000", 1000),
    ("senders", "2", 2),
    ("request_timeout_seconds", "2.5", 2.5),
    ("lease_seconds", "45", 45.0),
    ("poll_seconds", "0.1", 0.1),
    ("retry_base_seconds", "0.25", 0.25),
    ("retry_cap_seconds", "9", 9.0),
    ("key_refused_cap_seconds", "10", 10.0),
    ("max_attempts", "0", 0),
    ("dead_letter_days", "0", 0),
    ("exposure_seconds", "3600", 3600.0),
]


def variable(name: str) -> str:
    return f"HOGBOX_{name.upper()}"


def test_without_arguments_or_environment_settings_have_their_defaults() -> None:
    assert ClientSettings.load(TOKEN) == ClientSettings(
        database_url=None,
        project_token="phc_example",
        host="https://us.i.posthog.com",
        table_prefix="posthog_",
        disabled=False,
        disable_geoip=True,
    )


ENVIRONMENT: list[tuple[str, dict[str, str], str, Any]] = [
    ("database", {"HOGBOX_DATABASE_URL": "sqlite:///app.db"}, "database_url", "sqlite:///app.db"),
    ("empty database", {"HOGBOX_DATABASE_URL": ""}, "database_url", None),
    ("host", {"POSTHOG_HOST": " https://eu.posthog.com/ "}, "host", "https://eu.i.posthog.com"),
    ("prefix", {"HOGBOX_TABLE_PREFIX": "analytics_"}, "table_prefix", "analytics_"),
    ("token", {"POSTHOG_PROJECT_TOKEN": " phc_a\n"}, "project_token", "phc_a"),
    ("older name", {"POSTHOG_PROJECT_TOKEN": "", "POSTHOG_API_KEY": "phc_b"}, "project_token", "phc_b"),
    ("both names", {"POSTHOG_PROJECT_TOKEN": "phc_a", "POSTHOG_API_KEY": "phc_b"}, "project_token", "phc_a"),
]


@pytest.mark.parametrize(("environment", "field", "value"), [pytest.param(*row, id=name) for name, *row in ENVIRONMENT])
def test_the_environment_is_read(environment: dict[str, str], field: str, value: Any) -> None:
    assert getattr(ClientSettings.load({**TOKEN, **environment}), field) == value


def test_arguments_win_over_the_environment() -> None:
    environment = {
        "HOGBOX_DATABASE_URL": "sqlite:///other.db",
        "POSTHOG_PROJECT_TOKEN": "phc_other",
        "POSTHOG_HOST": "https://eu.i.posthog.com",
        "HOGBOX_TABLE_PREFIX": "other_",
        "HOGBOX_DISABLED": "1",
    }
    settings = ClientSettings.load(
        environment,
        database_url="sqlite:///app.db",
        project_token="phc_mine",
        host="http://localhost:8000",
        table_prefix="mine_",
        disabled=False,
        disable_geoip=False,
    )
    assert settings == ClientSettings(
        database_url="sqlite:///app.db",
        project_token="phc_mine",
        host="http://localhost:8000",
        table_prefix="mine_",
        disabled=False,
        disable_geoip=False,
    )


@pytest.mark.parametrize(
    ("text", "disabled"),
    [
        *[("1", True), ("true", True), (" YES ", True), ("on", True)],
        *[("0", False), ("False", False), ("no", False), ("off", False), ("", False), (" ", False)],
    ],
)
def test_hogbox_disabled_is_yes_or_no(text: str, disabled: bool) -> None:
    assert ClientSettings.load({**TOKEN, "HOGBOX_DISABLED": text}).disabled is disabled


def test_p8_hogbox_disabled_that_is_neither_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HOGBOX_DISABLED='maybe' is not a boolean: use 1 or 0"):
        ClientSettings.load({**TOKEN, "HOGBOX_DISABLED": "maybe"})


def test_p8_a_token_is_needed_to_capture() -> None:
    with pytest.raises(ConfigurationError, match="no project token: pass"):
        ClientSettings.load({})


@pytest.mark.parametrize("options", [{"disabled": True}, {"token_needed": False}], ids=["disabled", "worker"])
def test_no_token_is_needed_where_nothing_is_captured(options: dict[str, Any]) -> None:
    assert ClientSettings.load({}, **options).project_token == ""
    assert ClientSettings.load(TOKEN, **options).project_token == "phc_example"


@pytest.mark.parametrize("prefix", ["posthog_", "a", "_", "x" * 40, "v2_"])
def test_a_prefix_can_begin_a_name(prefix: str) -> None:
    assert require_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["", "2nd_", "Posthog_", "post hog", "a;--", "größe_", "x" * 41, "a\n"])
def test_p8_a_prefix_that_cannot_begin_a_name_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="is invalid: use at most 40 lower-case letters"):
        require_prefix(prefix)


def test_every_delivery_setting_is_in_the_table() -> None:
    fields = [field.name for field in dataclasses.fields(DeliverySettings) if not field.name.startswith("capture_")]
    assert [name for name, _, _ in VALUES] == fields


@pytest.mark.parametrize(("text", "mode"), [("V1", "v1"), ("legacy", "v0"), ("auto", "auto"), ("analytics_v1", "v1")])
def test_the_capture_mode_is_read_from_the_variable_of_the_official_clients(text: str, mode: str) -> None:
    assert DeliverySettings.load({"POSTHOG_CAPTURE_MODE": text}).capture_mode == mode


def test_an_unknown_capture_mode_is_refused_as_an_argument_and_ignored_in_the_environment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ConfigurationError, match="capture_mode 'v2' is unknown"):
        DeliverySettings(capture_mode="v2")
    assert DeliverySettings.load({"POSTHOG_CAPTURE_MODE": "v2"}).capture_mode == "v0"
    assert "POSTHOG_CAPTURE_MODE='v2' is ignored, and v0 is used" in caplog.text


@pytest.mark.parametrize(("name", "text", "value"), VALUES)
def test_a_delivery_setting_is_read_from_its_variable(name: str, text: str, value: Any) -> None:
    loaded = DeliverySettings.load({variable(name): f" {text} "})
    assert loaded == dataclasses.replace(DeliverySettings(), **{name: value})
    assert type(getattr(loaded, name)) is type(value)


@pytest.mark.parametrize(("name", "text", "value"), VALUES)
def test_an_argument_wins_over_the_variable(name: str, text: str, value: float) -> None:
    environment = {variable(name): "not a number"}
    assert DeliverySettings.load(environment, **{name: value}) == DeliverySettings.load({variable(name): text})


def test_nothing_given_leaves_the_defaults() -> None:
    empty = {variable(name): " " for name, _, _ in VALUES}
    assert DeliverySettings.load(empty, senders=None) == DeliverySettings()


@pytest.mark.parametrize(("name", "text"), [("senders", "two"), ("senders", "1.5"), ("poll_seconds", "0,5")])
def test_p8_what_is_no_number_is_refused_by_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable(name)}='{text}' is not a number"):
        DeliverySettings.load({variable(name): text})


@pytest.mark.parametrize("name", [name for name, _, zero in VALUES if zero != 0])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_p8_what_is_not_positive_is_refused_by_name_and_variable(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} \({variable(name)}\) must be a positive number, not "):
        DeliverySettings.load({}, **{name: value})


def test_p8_a_negative_limit_of_attempts_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"max_attempts \(HOGBOX_MAX_ATTEMPTS\) must be a number of at least"):
        DeliverySettings.load({"HOGBOX_MAX_ATTEMPTS": "-1"})


def test_p8_an_unknown_setting_is_refused_with_those_known() -> None:
    with pytest.raises(
        ConfigurationError, match="unknown setting 'sender'; the settings are batch_bytes, batch_events, "
    ):
        DeliverySettings.load({}, sender=3)


def test_p4_a_lease_must_outlast_the_request() -> None:
    assert DeliverySettings(lease_seconds=30, request_timeout_seconds=20).lease_seconds == 30
    with pytest.raises(ConfigurationError, match=r"lease_seconds \(30\) must be at least 1\.5 times .*\(20\.1\)"):
        DeliverySettings(lease_seconds=30, request_timeout_seconds=20.1)


@pytest.mark.parametrize("name", ["batch_events", "batch_bytes", "senders", "max_attempts", "dead_letter_days"])
def test_what_is_counted_must_be_whole(name: str) -> None:
    message = rf"{name} \(HOGBOX_{name.upper()}\) must be a whole number, not 1.5"
    with pytest.raises(ConfigurationError, match=message):
        DeliverySettings(**{name: 1.5})  # type: ignore[arg-type]


def test_blank_variables_count_as_not_set() -> None:
    blank = dict.fromkeys(["HOGBOX_DATABASE_URL", "POSTHOG_PROJECT_TOKEN", "HOGBOX_TABLE_PREFIX", "POSTHOG_HOST"], " ")
    settings = ClientSettings.load({**blank, "POSTHOG_API_KEY": " phc_good "})
    assert settings.project_token == "phc_good"
    assert settings.database_url is None
    assert settings.table_prefix == "posthog_"


@pytest.mark.parametrize(("text", "word"), [("zstd", "zstd"), (" GZIP ", "gzip"), ("", "auto"), ("none", "none")])
def test_the_compression_is_read_from_the_variable_of_official_clients(text: str, word: str) -> None:
    assert DeliverySettings.load({COMPRESSION: text}).capture_compression == word


@pytest.mark.parametrize("text", ["lz4", "br"])
def test_a_compression_of_the_environment_that_cannot_be_used_warns(
    text: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert DeliverySettings.load({COMPRESSION: text}) == DeliverySettings()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"POSTHOG_CAPTURE_COMPRESSION='{text}' is ignored, and auto is used: ")


@pytest.mark.parametrize("word", ["lz4", "br", "GZIP", 1, b"gzip", ["gzip"]])
def test_p8_a_compression_given_as_an_argument_that_cannot_be_used_is_refused(
    word: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    for make in (DeliverySettings, lambda **given: DeliverySettings.load({COMPRESSION: "zstd"}, **given)):
        with pytest.raises(ConfigurationError, match="capture_compression"):
            make(capture_compression=word)
