"""Encryption of payloads at rest, with the keys of `HOGBOX_ENCRYPTION_KEYS`: Fernet, of the `cryptography` package.

The first key encrypts, all decrypt: so keys are rotated. Without keys payloads are stored as they are; those that were
stored before keys were set, or between two, are read as they are too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NoReturn, Self

from hogbox._events.escape import escape
from hogbox.errors import ConfigurationError, MissingDependency, UndecryptablePayload

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLE: Final = "HOGBOX_ENCRYPTION_KEYS"
"""Keys, separated by commas."""

_PREFIX: Final = "fernet:"

SEALED: Final = f"{_PREFIX}%"
"""What encrypted payloads are LIKE."""


def is_sealed(payload: str) -> bool:
    """Whether a stored payload is encrypted."""
    return payload.startswith(_PREFIX)


def open_payload(payload: str) -> str:
    """A stored payload as plain text, with the keys of the environment. Raises what `Cipher.open` raises."""
    return Cipher.load(os.environ).open(payload) if is_sealed(payload) else payload


def readable(payload: str) -> str:
    """The same, but as it is stored where it can't be opened here: for what shows events to people."""
    try:
        return open_payload(payload)
    except UndecryptablePayload:
        return payload


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

    def seal(self, payload: str) -> str:
        """The payload as it is to be stored: in ASCII, encrypted or not."""
        return _PREFIX + self._fernet.encrypt(payload.encode()).decode() if self._fernet else escape(payload)

    def open(self, payload: str) -> str:
        """A stored payload as it was captured. Raises UndecryptablePayload where no key fits, or it was changed."""
        if not is_sealed(payload):
            return payload
        if self._fernet is None:
            raise UndecryptablePayload(f"the payload is encrypted, and no keys are set here: set {VARIABLE}")
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(payload[len(_PREFIX) :].encode()).decode()
        except (InvalidToken, UnicodeError):
            raise UndecryptablePayload from None


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
