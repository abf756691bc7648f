"""An application that goes through success and failure, and prints everything that a careless one would print.

Usage: application.py DATABASE_URL_THAT_REFUSES. Its secrets are in the environment, where the test has put them.
"""

from __future__ import annotations

import logging
import os
import pprint
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from hogbox import PostHog
from hogbox._encryption import VARIABLE, Cipher
from hogbox._settings.client import ClientSettings
from hogbox.redaction import Redactor


def main(refusing: str) -> None:
    """Capture, deliver, refresh, configure wrongly, and show all of it."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    print("arguments:", Path("/proc/self/cmdline").read_bytes())
    redactor = Redactor(hashed=["email"])
    posthog = PostHog(before_send=redactor, exception_locals=True)
    posthog.create_tables()
    posthog.capture(None, "signed up", distinct_id="u1", properties={"email": "ada@example.com"})
    password = os.environ["SECRET_OF_THE_APPLICATION"]
    try:
        raise ValueError(f"password={password} in {refusing}")
    except ValueError as error:
        posthog.capture_exception(None, error)
    for _ in range(2):
        print(posthog.refresh_flag_definitions(), posthog.deliver(timeout=0.3))
    _show(posthog, redactor)
    for act in _mistakes(refusing):
        _fail(act)
    posthog.shutdown()


def _show(posthog: PostHog, redactor: Redactor) -> None:
    """What a debugger or a careless log line would show."""
    parts = posthog._components
    shown = [posthog, redactor, parts.settings, str(parts.settings), Cipher.load(os.environ)]
    shown += [vars(one) for one in (posthog, redactor, parts, parts.outbox, parts.recorder, parts.database)]
    shown += [vars(parts.drainer()), parts.refresher, parts.database.engine]
    pprint.pp(shown)


def _mistakes(refusing: str) -> list[Callable[[], object]]:
    """What fails, with a secret at hand."""
    key, first = os.environ["POSTHOG_PERSONAL_API_KEY"], os.environ[VARIABLE].partition(",")[0]
    return [
        lambda: PostHog(project_token=key),
        lambda: PostHog(personal_api_key=f"{key} with a blank"),
        lambda: Redactor(hashed=["email"], hash_key=os.environ["HOGBOX_HASH_KEY"][:15]),
        lambda: Redactor(deny=["$lib"], hash_key=os.environ["HOGBOX_HASH_KEY"]),
        lambda: Cipher.load({VARIABLE: f"{first},{first[:-3]}"}),
        lambda: Cipher.load({VARIABLE: first}).open("fernet:x"),
        lambda: ClientSettings.load(os.environ, table_prefix="No"),
        lambda: PostHog(refusing).capture(None, "x", distinct_id="u1"),
        lambda: PostHog(refusing).deliver(),
        lambda: PostHog(refusing.replace("postgresql", "oracle")),
    ]


def _fail(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:
        print(repr(error))
        traceback.print_exc()
        logging.getLogger("application").exception("it failed")
    else:
        raise AssertionError("a mistake went through")


if __name__ == "__main__":
    main(sys.argv[1])
