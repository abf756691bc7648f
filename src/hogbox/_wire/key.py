"""The key for definitions: a secret that never shows (P9)."""

from __future__ import annotations

from typing import Final, NoReturn

from hogbox.errors import ConfigurationError

PROJECT_SECRET: Final = "phs_"  # noqa: S105 - the beginning of every such key
"""How a project's secret key begins: the kind that is meant for this."""

PERSONAL: Final = "phx_"
"""How a personal key begins: it works, and opens more than it has to."""

PROJECT_TOKEN: Final = "phc_"  # noqa: S105 - the beginning of a public token
LONGEST: Final = 256


class Secret:
    """A text that no repr, log, format or pickle shows. `reveal` is for the request that needs it."""

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
        raise TypeError("a secret is not to be stored")


def read_key(text: str | None) -> Secret | None:
    """The key for definitions, trimmed; None where none is given.

    Raises ConfigurationError, which does not show it, for what cannot be one.
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
            f"the key for flag definitions is not one: at most {LONGEST} printable ASCII characters without blanks; "
            "mend personal_api_key=... or POSTHOG_PERSONAL_API_KEY"
        )
    return Secret(key)


def objection(key: Secret) -> str | None:
    """What is to be said against using this key though it may work, or None."""
    if key.reveal().startswith(PROJECT_SECRET):
        return None
    kind = "a personal one (phx_)" if key.reveal().startswith(PERSONAL) else "not a project's secret key (phs_)"
    return f"the key for flag definitions is {kind}: it may open more than this project's flags, a phs_ key does not"
