"""Encryption of payloads at rest with the keys in `HOGBOX_ENCRYPTION_KEYS`: Fernet, from the `cryptography` package.

The first key encrypts and all keys decrypt, so that keys can be rotated. Without keys, payloads are stored in plain
text. Payloads that were stored in plain text can be read after keys have been set.

The plaintext is an envelope: the project, shard and lane of the row, then the payload. A payload that was moved to
another row, or of which the row was changed, is not decrypted. Payloads that were encrypted without an envelope (by
earlier versions) are decrypted as long as their key is among the keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Protocol, Self

from hogbox._events.escape import escape
from hogbox._events.event import ANALYTICS, BEFORE_ANALYTICS
from hogbox.errors import ConfigurationError, MisplacedPayload, MissingDependency, UndecryptablePayload

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE: Final = "HOGBOX_ENCRYPTION_KEYS"
"""Keys, separated by commas."""

PREFIX: Final = "fernet:"
"""The prefix of encrypted payloads."""

_BOUND: Final = f"{PREFIX}2:"
"""The prefix of payloads with an envelope. A Fernet token contains no colon: other payloads can't begin like this."""

_ENVELOPE: Final = "hogbox-envelope "
"""The beginning of an envelope, inside the encrypted text. It is authenticated, and no event's JSON begins like this:
changing the prefix of a stored payload can't make one form pass for the other."""


class Place(Protocol):
    """The row of the outbox or of the dead letters that a payload is stored in."""

    @property
    def project(self) -> str:
        """The project's token."""

    @property
    def shard(self) -> int:
        """0 to 63."""

    @property
    def lane(self) -> str:
        """`analytics`, `ai`, `historical` or `exposure`."""


class _Row(NamedTuple):
    project: str
    shard: int
    lane: str


def is_sealed(payload: object) -> bool:
    """Whether a stored payload is encrypted. SQLite keeps values of any type in any column."""
    return isinstance(payload, str) and payload.startswith(PREFIX)


def open_payload(payload: str, place: Place | None = None) -> str:
    """Decrypt a stored payload with the keys in the environment; a plain payload is returned unchanged.

    `place` is the payload's row: an object with `project`, `shard` and `lane`; with None the row is not checked. Raises
    UndecryptablePayload, MisplacedPayload, ConfigurationError for invalid keys, or MissingDependency.
    """
    return Cipher.load(os.environ).open(payload, place) if is_sealed(payload) else payload


def readable(payload: str | bytes, place: Place | None) -> str:
    """The same, for display: a payload that can't be decrypted here is returned as it is stored."""
    if isinstance(payload, bytes):
        return payload.hex().upper()
    try:
        return open_payload(payload, place)
    except UndecryptablePayload:
        return payload


def move_payload(payload: str, place: Place, project: str) -> str:
    """Re-encrypt a row's payload for another project; a plain payload is returned unchanged.

    `place` is the current row: an object with `project`, `shard` and `lane`. Uses the keys in the environment. Raises
    UndecryptablePayload, MisplacedPayload, ConfigurationError for invalid keys, or MissingDependency.
    """
    if not is_sealed(payload):
        return payload
    cipher = Cipher.load(os.environ)
    return cipher.seal(cipher.open(payload, place), _Row(project, place.shard, place.lane))


def new_key() -> str:
    """A new random key. Raises MissingDependency."""
    try:
        from cryptography.fernet import Fernet
    except ImportError as error:
        raise _missing("generating a key needs") from error
    return Fernet.generate_key().decode()


class Cipher:
    """Encrypts and decrypts payloads; without keys it leaves them unchanged. Its `repr` shows no key (P9)."""

    def __init__(self, fernet: MultiFernet | None) -> None:
        self._fernet = fernet

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """A cipher with the environment's keys. Raises ConfigurationError for an invalid key, or MissingDependency."""
        text = environment.get(VARIABLE, "").strip()
        return cls(_fernet([key.strip() for key in text.split(",")]) if text else None)

    def __repr__(self) -> str:
        return f"Cipher({'with' if self.has_keys else 'without'} keys)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Cipher can't be pickled: it holds encryption keys")

    @property
    def has_keys(self) -> bool:
        """Whether payloads are encrypted."""
        return self._fernet is not None

    def seal(self, payload: str, place: Place) -> str:
        """The stored form of a payload, for a row with this project, shard and lane: ASCII, encrypted or not."""
        if self._fernet is None:
            return escape(payload)
        envelope = f"{_ENVELOPE}{_header(place)}\n{payload}"
        return _BOUND + self._fernet.encrypt(envelope.encode()).decode()

    def open(self, payload: str, place: Place | None = None) -> str:
        """A stored payload as it was captured. `place` is its row; with None the row is not checked.

        Raises UndecryptablePayload if no key decrypts it or the text was changed, and its subclass MisplacedPayload if
        the payload was encrypted for a different project, shard or lane.
        """
        if not is_sealed(payload):
            return payload
        bound = payload.startswith(_BOUND)
        text = self._decrypt(payload.removeprefix(_BOUND if bound else PREFIX))
        if bound != text.startswith(_ENVELOPE):
            raise UndecryptablePayload
        if not bound:
            return text
        header, _, content = text.removeprefix(_ENVELOPE).partition("\n")
        if place is not None and header != _header(place):
            raise MisplacedPayload
        return content

    def _decrypt(self, token: str) -> str:
        if self._fernet is None:
            raise UndecryptablePayload(f"the payload is encrypted, and this process has no keys: set {VARIABLE}")
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(token.encode()).decode()
        except (InvalidToken, UnicodeError):
            raise UndecryptablePayload from None


def _header(place: Place) -> str:
    """The place on one line; equal places give equal lines."""
    # A dead letter of such an event is stored in the lane of analytics: its payload must still decrypt there.
    lane = ANALYTICS if place.lane in BEFORE_ANALYTICS else place.lane
    return json.dumps([place.project, place.shard, lane])


def _fernet(keys: list[str]) -> MultiFernet:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError as error:
        raise _missing(f"{VARIABLE} is set, which needs") from error
    found = []
    for number, key in enumerate(keys, 1):
        try:
            found.append(Fernet(key))
        except ValueError:
            raise ConfigurationError(
                f"key {number} of {len(keys)} in {VARIABLE} is invalid: keys are 32 bytes in base64, as printed by "
                "`hogbox keygen`, separated by commas"
            ) from None
    return MultiFernet(found)


def _missing(what: str) -> MissingDependency:
    return MissingDependency(f"{what} cryptography: pip install 'hogbox[encryption]'")
