"""The key for flag definitions: a secret that is never printed (P9)."""

from __future__ import annotations

from typing import Final, NoReturn

from hogbox.errors import ConfigurationError

PROJECT_SECRET: Final = "phs_"  # noqa: S105 - the beginning of every such key
"""Prefix of a project's secret key, the intended kind."""

PERSONAL: Final = "phx_"
"""Prefix of a personal key, which works but gives access to more than necessary."""

PROJECT_TOKEN: Final = "phc_"  # noqa: S105 - the beginning of a public token
LONGEST: Final = 256


class Secret:
    """Text that never appears in a repr, log, format or pickle. `reveal` is for the request that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be pickled")


def read_key(text: str | None) -> Secret | None:
    """The key for definitions, trimmed; None if none is given.

    Raises ConfigurationError, without the key in its message, for an invalid one.
    """
    key = (text or "").strip()
    if not key:
        return None
    if key.startswith(PROJECT_TOKEN):
        raise ConfigurationError(
            "the key for flag definitions is a project's public token (phc_): pass the project's secret key, which "
            "starts with phs_, as personal_api_key=... or POSTHOG_PERSONAL_API_KEY"
        )
    if len(key) > LONGEST or not all("!" <= character <= "~" for character in key):
        raise ConfigurationError(
            f"the key for flag definitions is invalid: at most {LONGEST} printable ASCII characters without spaces; "
            "correct personal_api_key=... or POSTHOG_PERSONAL_API_KEY"
        )
    return Secret(key)


def objection(key: Secret) -> str | None:
    """A warning about using this key although it may work, or None."""
    if key.reveal().startswith(PROJECT_SECRET):
        return None
    kind = "a personal one (phx_)" if key.reveal().startswith(PERSONAL) else "not a project's secret key (phs_)"
    return f"the key for flag definitions is {kind}: it may give access to more than this project's flags; use phs_"
