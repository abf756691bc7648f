"""Flags of the shop: the file that PostHog's definitions come from here, and a change of it while the shop is open."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

from hogbox import PostHog

FLAGS: Final = Path(__file__).with_name("flags.json")
SALE: Final = "summer-sale"


def open_book(folder: Path) -> Path:
    """A copy of the shop's definitions that may be changed."""
    book = folder / "flags.json"
    book.write_text(FLAGS.read_text())
    return book


def begin_sale(book: Path) -> float:
    """Switch the flag of the sale on, as somebody would at PostHog; returns the moment."""
    definitions = json.loads(book.read_text())
    for flag in definitions["flags"]:
        flag["active"] = flag["active"] or flag["key"] == SALE
    new = book.with_suffix(".new")
    new.write_text(json.dumps(definitions))
    new.replace(book)
    return time.monotonic()


def wait_for_sale(posthog: PostHog, patience: float) -> None:
    """Until this process, which only reads its own database, sees the sale. Raises TimeoutError."""
    ends = time.monotonic() + patience
    while posthog.is_feature_enabled(None, SALE, distinct_id="the till") is not True:
        if time.monotonic() >= ends:
            raise TimeoutError(f"the shop did not see {SALE} within {patience:g} s")
        time.sleep(0.02)


def wait_for_flags(posthog: PostHog, patience: float) -> None:
    """Until the first definitions are stored. Raises TimeoutError."""
    ends = time.monotonic() + patience
    while not _known(posthog):
        if time.monotonic() >= ends:
            raise TimeoutError(f"no flag definitions came within {patience:g} s")
        time.sleep(0.02)


def _known(posthog: PostHog) -> bool:
    return posthog.flags(None, distinct_id="the till").readable
