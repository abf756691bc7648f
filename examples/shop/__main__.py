"""`python -m examples.shop`: ends by itself, and exits with 1 where an event was lost, disordered or made up."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from examples.shop import emulated, live
from examples.shop.report import Story, show_logs

ADVICE = """\
To send a dozen events to a project of your own: POSTHOG_PROJECT_TOKEN=phc_... \
POSTHOG_HOST=https://eu.i.posthog.com python -m examples.shop"""


def main() -> int:
    """Run the demo in a temporary folder, which is removed; returns the exit code."""
    token, host = os.environ.get("POSTHOG_PROJECT_TOKEN"), os.environ.get("POSTHOG_HOST")
    _forget_settings()
    signal.signal(signal.SIGTERM, _end)
    story = Story(Console())
    try:
        with tempfile.TemporaryDirectory(prefix="hogbox-shop-") as folder:
            good = _run(Path(folder), story, token, host)
    except KeyboardInterrupt:
        story.tell("interrupted")
        return 130
    return 0 if good else 1


def _run(folder: Path, story: Story, token: str | None, host: str | None) -> bool:
    good = False
    try:
        good = live.run(folder, story, token, host) if token and host else emulated.run(folder, story)
    except TimeoutError as error:
        story.tell(f"gave up: {error}")
    if not good:
        show_logs(story.console, folder)
    if not (token and host):
        story.console.print(ADVICE, highlight=False, soft_wrap=True)
    return good


def _forget_settings() -> None:
    """The demo brings its own settings, whatever hogbox is told elsewhere on this machine."""
    for name in [name for name in os.environ if name.startswith(("HOGBOX_", "POSTHOG_"))]:
        del os.environ[name]


def _end(_number: int, _frame: object) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
