"""A nightly job: end trials in one transaction, deliver the captured events, print a summary, and exit."""

from __future__ import annotations

import os

from sqlalchemy import Connection, create_engine, text

from hogbox import PostHog

engine = create_engine(os.environ["HOGBOX_DATABASE_URL"])


def end_trials(connection: Connection, posthog: PostHog) -> int:
    """End expired trials and return their number."""
    ended = connection.scalars(text("SELECT person FROM trials WHERE days_left = 0")).all()
    connection.execute(text("DELETE FROM trials WHERE days_left = 0"))
    for person in ended:
        posthog.capture(connection, "trial ended", distinct_id=person)
    return len(ended)


def main() -> None:
    """Run the job. Its events are committed with its changes, or not at all."""
    with PostHog(engine) as posthog:
        try:
            with engine.begin() as connection:
                ended = end_trials(connection, posthog)
            print(f"{ended} trials ended")
        except Exception as error:
            posthog.capture_exception(None, error, handled=False)
            raise
        finally:
            delivery = posthog.deliver(timeout=20)
            print(f"{delivery.delivered} events delivered, {delivery.waiting} wait")


if __name__ == "__main__":
    main()
