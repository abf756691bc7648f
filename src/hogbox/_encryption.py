"""Encryption of payloads at rest, with the keys of `HOGBOX_ENCRYPTION_KEYS`: Fernet, of the `cryptography` package.

The first key encrypts, all decrypt: so keys are rotated. Without keys payloads are stored as they are; those that were
stored before keys were set, or between two, are read as they are too.

What is encrypted is an envelope: the project, shard and lane of the row, then the payload. A payload that is moved to
another row, or whose row is changed, is not opened. Payloads that were encrypted without an envelope are opened as long
as their key is among the keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Protocol, Self

from hogbox._events.escape import escape
from hogbox._events.event import ANALYTICS, EXPOSURES
from hogbox.errors import ConfigurationError, MisplacedPayload, MissingDependency, UndecryptablePayload

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE: Final = "HOGBOX_ENCRYPTION_KEYS"
"""Keys, separated by commas."""

PREFIX: Final = "fernet:"
"""How encrypted payloads begin."""

_BOUND: Final = f"{PREFIX}2:"
"""Before payloads in an envelope. No token of Fernet's has a colon, so that none without one begins like this."""

_ENVELOPE: Final = "hogbox-envelope "
"""How what is encrypted begins, with an envelope. It is authenticated, and no event's JSON begins like this: the two
forms can't be taken for each other by changing the prefix of a stored payload."""


class Place(Protocol):
    """Where a payload is stored: a row of the outbox or of the dead letters."""

    @property
    def project(self) -> str:
        """The project's token."""

    @property
    def shard(self) -> int:
        """0 to 63."""

    @property
    def lane(self) -> str:
        """The family of endpoints."""


class _Row(NamedTuple):
    project: str
    shard: int
    lane: str


def is_sealed(payload: object) -> bool:
    """Whether a stored payload is encrypted. SQLite keeps values of any type in any column."""
    return isinstance(payload, str) and payload.startswith(PREFIX)


def open_payload(payload: str, place: Place | None = None) -> str:
    """A stored payload as plain text, with the keys of the environment. Raises what `Cipher.open` raises."""
    return Cipher.load(os.environ).open(payload, place) if is_sealed(payload) else payload


def readable(payload: str | bytes, place: Place | None) -> str:
    """The same, but as it is stored where it can't be opened here: for what shows events to people."""
    if isinstance(payload, bytes):
        return payload.hex().upper()
    try:
        return open_payload(payload, place)
    except UndecryptablePayload:
        return payload


def move_payload(payload: str, place: Place, project: str) -> str:
    """The payload of a row as it is to be stored when the row's project becomes another one; the same if it is plain.

    With the keys of the environment. Raises what `Cipher.open` raises.
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
        raise _missing("a key is made with") from error
    return Fernet.generate_key().decode()


class Cipher:
    """Encrypts and decrypts payloads; where it has no keys it leaves them as they are. Shows no key (P9)."""

    def __init__(self, fernet: MultiFernet | None) -> None:
        self._fernet = fernet

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """With the environment's keys. Raises ConfigurationError for what is no key, and MissingDependency."""
        text = environment.get(VARIABLE, "").strip()
        return cls(_fernet([key.strip() for key in text.split(",")]) if text else None)

    def __repr__(self) -> str:
        return f"Cipher({'with' if self.has_keys else 'without'} keys)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not to be stored")

    @property
    def has_keys(self) -> bool:
        """Whether payloads are encrypted."""
        return self._fernet is not None

    def seal(self, payload: str, place: Place) -> str:
        """The payload as it is to be stored in a row with this project, shard and lane: in ASCII, encrypted or not."""
        if self._fernet is None:
            return escape(payload)
        envelope = f"{_ENVELOPE}{_header(place)}\n{payload}"
        return _BOUND + self._fernet.encrypt(envelope.encode()).decode()

    def open(self, payload: str, place: Place | None = None) -> str:
        """A stored payload as it was captured. `place` is its row; None opens it wherever it was found.

        Raises UndecryptablePayload where no key fits or the text was changed, and MisplacedPayload, which is one, where
        the payload was encrypted for another project, shard or lane than its row has.
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
            raise UndecryptablePayload(f"the payload is encrypted, and no keys are set here: set {VARIABLE}")
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(token.encode()).decode()
        except (InvalidToken, UnicodeError):
            raise UndecryptablePayload from None


def _header(place: Place) -> str:
    """The place in one line, always the same for the same place."""
    # An exposure is sent, and set aside, as an event of analytics.
    lane = ANALYTICS if place.lane == EXPOSURES else place.lane
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
                f"key {number} of {len(keys)} in {VARIABLE} is none: each is 32 bytes in base64, as `hogbox keygen` "
                "prints them, and commas are between them"
            ) from None
    return MultiFernet(found)


def _missing(what: str) -> MissingDependency:
    return MissingDependency(f"{what} cryptography: pip install 'hogbox[encryption]'")
