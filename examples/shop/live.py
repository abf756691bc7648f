"""The shop against a real PostHog project: a few events, and nothing is broken on purpose."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from random import Random

from examples.shop.crowd import Bank, Visit, crowd
from examples.shop.ledger import count, open_ledger, read_facts, wait_until_empty
from examples.shop.process import worker
from examples.shop.report import Story, show_delivery
from examples.shop.shop import Shop
from hogbox import PostHog

PLAN = Visit(sign_ups=3, orders=9, pause=0.05)


def run(folder: Path, story: Story, token: str, host: str, patience: float = 20.0) -> bool:
    """Send a dozen events; whether the host took them all."""
    story.tell(f"the shop opens on SQLite; a worker delivers to {host}: a dozen events, no faults, no emulator")
    with ExitStack() as stack:
        engine = open_ledger(folder / "shop.db")
        stack.callback(engine.dispose)
        posthog = stack.enter_context(PostHog(engine, project_token=token, host=host))
        posthog.create_tables()
        shop = Shop(engine, posthog, Bank(declines=0.2).charge)
        stack.enter_context(worker(folder / "shop.db", host, folder / "worker.log", {}))
        (till,) = stack.enter_context(crowd(shop, [Random()], PLAN))
        rolled_back = till.result()
        story.tell("the shop closes")
        waiting = wait_until_empty(engine, patience)
        refused = count(engine, "posthog_dead_letters")
        show_delivery(story.console, len(read_facts(engine)), rolled_back, waiting, refused)
    if waiting or refused:
        return False
    story.console.print("Look for signed_up and order_placed in the project's activity.")
    return True
