"""Encryption of payloads: keys, rotation, what is said of wrong ones, and that no key shows."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hogbox import PostHog
from hogbox._encryption import VARIABLE, Cipher, is_sealed, move_payload, new_key, open_payload
from hogbox._events.event import Row
from hogbox._store.connections.database import Database
from hogbox._worker.worker import Worker
from hogbox.cli.app import build_app
from hogbox.errors import ConfigurationError, MisplacedPayload, UndecryptablePayload
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase

OLD, NEW = new_key(), new_key()
ROW = Row(7, "phc_test", "analytics", "")
PLAIN = '{"uuid":"01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"}'


def cipher(*keys: str) -> Cipher:
    return Cipher.load({VARIABLE: ", ".join(keys)})


@given(st.text())
def test_what_is_sealed_opens_again(text: str) -> None:
    sealed = cipher(OLD).seal(text, ROW)
    assert is_sealed(sealed)
    assert sealed.isascii()
    assert cipher(OLD).open(sealed, ROW) == cipher(OLD).open(sealed) == text


def test_without_keys_payloads_are_stored_as_they_are() -> None:
    assert Cipher.load({}).seal(PLAIN, ROW) == Cipher.load({VARIABLE: " "}).seal(PLAIN, ROW) == PLAIN
    assert not Cipher.load({}).has_keys


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    both = cipher(NEW, OLD)
    assert both.open(cipher(OLD).seal(PLAIN, ROW)) == PLAIN
    assert cipher(NEW).open(both.seal(PLAIN, ROW)) == PLAIN
    assert both.open(PLAIN) == PLAIN


@pytest.mark.parametrize("keys", [[], [NEW]])
def test_a_payload_whose_key_is_not_here_says_so(keys: list[str]) -> None:
    sealed = cipher(OLD).seal(PLAIN, ROW)
    with pytest.raises(UndecryptablePayload, match=VARIABLE):
        cipher(*keys).open(sealed)


@pytest.mark.parametrize("spoiled", ["fernet:", "fernet:ä", "fernet:{}", "fernet:2:", "fernet:2:ä", "fernet:3:x"])
def test_a_payload_that_was_changed_is_not_opened(spoiled: str) -> None:
    with pytest.raises(UndecryptablePayload):
        cipher(OLD).open(spoiled)
    sealed = cipher(OLD).seal(PLAIN, ROW)
    with pytest.raises(UndecryptablePayload):
        cipher(OLD).open(f"{sealed[:-9]}AAAA{sealed[-5:]}")


@pytest.mark.parametrize(
    "other", [ROW._replace(project="phc_other"), ROW._replace(shard=8), ROW._replace(lane="historical")]
)
def test_a_payload_is_opened_only_where_it_was_stored(other: Row) -> None:
    sealed = cipher(OLD).seal(PLAIN, ROW)
    with pytest.raises(MisplacedPayload, match="row was changed"):
        cipher(OLD).open(sealed, other)


def test_a_payload_is_moved_to_another_project_with_the_keys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ROW._replace(project="phc_other")
    sealed = cipher(OLD).seal(PLAIN, ROW)
    assert move_payload(PLAIN, ROW, "phc_other") == PLAIN
    with pytest.raises(UndecryptablePayload):
        move_payload(sealed, ROW, "phc_other")
    monkeypatch.setenv(VARIABLE, f"{NEW},{OLD}")
    assert open_payload(move_payload(sealed, ROW, "phc_other"), other) == PLAIN
    with pytest.raises(MisplacedPayload):
        move_payload(sealed, other, "phc_test")


def test_the_form_without_an_envelope_is_opened_and_neither_form_passes_for_the_other() -> None:
    token = Fernet(OLD).encrypt(PLAIN.encode()).decode()
    assert cipher(NEW, OLD).open(f"fernet:{token}", ROW) == PLAIN
    for forged in (f"fernet:2:{token}", cipher(OLD).seal(PLAIN, ROW).replace("fernet:2:", "fernet:")):
        with pytest.raises(UndecryptablePayload):
            cipher(OLD).open(forged, ROW)


def test_a_stored_payload_is_opened_with_the_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, OLD)
    assert open_payload(cipher(OLD).seal(PLAIN, ROW)) == open_payload(PLAIN) == PLAIN


@pytest.mark.parametrize(
    "wrong", ["x", f"{OLD},", f"{OLD},{NEW[:-4]}", "schlüssel"], ids=["short", "comma", "half", "words"]
)
def test_p9_what_is_no_key_is_refused_at_construction_and_not_shown(
    wrong: str, sqlite_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, wrong)
    number = wrong.count(",") + 1
    said = f"^key {number} of {number} in {VARIABLE} is invalid"
    with pytest.raises(ConfigurationError, match=said) as caught:
        PostHog(sqlite_database.engine, project_token="phc_test")
    with pytest.raises(ConfigurationError, match=said):
        Worker(Database(sqlite_database.engine, "posthog_"), "http://127.0.0.1:1", DeliverySettings())
    assert caught.value.__cause__ is None
    for key in (OLD, NEW[:-4], "schlüssel"):
        assert key not in str(caught.value)


def test_p9_a_cipher_shows_no_key_and_is_not_stored() -> None:
    assert repr(cipher(OLD)) == "Cipher(with keys)"
    with pytest.raises(TypeError, match="it holds encryption keys"):
        pickle.dumps(cipher(OLD))


def test_without_the_library_the_variable_is_an_error_and_its_absence_none() -> None:
    code = f"""
import os, sys
sys.modules["cryptography"] = sys.modules["cryptography.fernet"] = None
from hogbox import PostHog
from hogbox.errors import MissingDependency
PostHog("sqlite://", project_token="phc_test")
os.environ["{VARIABLE}"] = "{OLD}"
try:
    PostHog("sqlite://", project_token="phc_test")
except MissingDependency as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{VARIABLE} is set, which needs cryptography: pip install 'hogbox[encryption]'\n"


def test_a_process_without_keys_does_not_load_the_library() -> None:
    code = "import sys; from hogbox import PostHog; PostHog('sqlite://', project_token='phc_test')\n"
    check = "assert not [name for name in sys.modules if name.startswith('cryptography')]"
    subprocess.run([sys.executable, "-c", code + check], check=True)


def test_keygen_prints_a_key() -> None:
    result = CliRunner().invoke(build_app(), ["keygen"])
    assert result.exit_code == 0
    assert cipher(result.output.strip()).has_keys
