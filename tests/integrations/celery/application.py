"""The application that the tests' Celery workers run: `celery -A tests.integrations.celery.application worker`."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery, signals  # type: ignore[import-untyped]
from celery.exceptions import Ignore, Reject  # type: ignore[import-untyped]
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox.context import get_context, tag
from hogbox.integrations.celery import HogboxCelery
from tests.fixtures.waiting import wait_until
from tests.integrations.celery.broker import configure

FOLDER = Path(os.environ["TEST_FOLDER"])
CHILDREN = int(os.environ["TEST_CHILDREN"])

engine = sa.create_engine(os.environ["HOGBOX_DATABASE_URL"])
posthog = PostHog(engine)
app = configure(Celery("application"), os.environ["TEST_BROKER_PREFIX"])
HogboxCelery(app, posthog, deliver_every=0.5)


def connection_of(session: Session) -> int | None:
    """Which connection to the server this is; None on SQLite."""
    asked = "SELECT pg_backend_pid()" if session.get_bind().dialect.name == "postgresql" else "SELECT NULL"
    number: int | None = session.scalar(sa.text(asked))
    return number


def place(name: str, **properties: Any) -> None:
    """Capture in a transaction, and tell where that was."""
    with Session(engine) as session, session.begin():
        runner = f"{os.getpid()}-{threading.get_ident()}"
        told = {"pid": os.getpid(), "runner": runner, "connection": connection_of(session), **properties}
        posthog.capture(session, name, properties=told)


@signals.worker_init.connect
def connect_before_the_fork(**_: object) -> None:
    """The parent has an open connection in the pool when it forks."""
    with Session(engine) as session, session.begin():
        posthog.capture(session, "parent", distinct_id="parent", properties={"connection": connection_of(session)})


@signals.worker_ready.connect
def say_so(**_: object) -> None:
    """The tests wait for this."""
    (FOLDER / "ready").touch()


class Unpicklable(Exception):
    """Its arguments are not those that it is made with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


@app.task(name="capture")
def capture(name: str) -> None:
    """Capture as whoever the context names."""
    place(name)


@app.task(name="tag_and_send")
def tag_and_send(name: str) -> None:
    """Change the context, and send another task from it."""
    tag("step", 2)
    capture.delay(name)


@app.task(name="roll_back")
def roll_back(name: str) -> None:
    """Capture in a transaction that is rolled back."""
    with Session(engine) as session, session.begin():
        posthog.capture(session, name)
        raise ValueError(name)


@app.task(name="look")
def look(name: str) -> None:
    """Tell of the context itself."""
    context = get_context()
    assert context is not None
    with Session(engine) as session, session.begin():
        posthog.capture(session, name, distinct_id=context.distinct_id or "nobody", properties={"task": name})


@app.task(name="gather")
def gather(name: str, flag: str | None = None) -> None:
    """Capture when all children, or threads, of the worker have come: each takes one of as many tasks."""
    place_of_meeting = FOLDER / name
    place_of_meeting.mkdir(exist_ok=True)
    (place_of_meeting / f"{os.getpid()}-{threading.get_ident()}").touch()
    wait_until(lambda: len(list(place_of_meeting.iterdir())) >= CHILDREN, "the others")
    place(name, **({} if flag is None else {"flag": posthog.get_feature_flag(None, flag)}))


@app.task(name="fail")
def fail(text: str) -> None:
    """Fail."""
    raise ValueError(text)


@app.task(name="fail_unpicklably")
def fail_unpicklably(text: str) -> None:
    """Fail with what can't be sent to the parent as it is."""
    raise Unpicklable(7, text)


@app.task(name="fail_as_expected", throws=(KeyError,))
def fail_as_expected() -> None:
    """Fail as the task says that it may."""
    raise KeyError("expected")


@app.task(name="retry_once", bind=True, max_retries=1)
def retry_once(self: Any, name: str) -> None:
    """Succeed when it is tried again."""
    if self.request.retries == 0:
        raise self.retry(exc=ValueError("retried"), countdown=0)
    place(name)


@app.task(name="give_up", bind=True, max_retries=1)
def give_up(self: Any, text: str) -> None:
    """Fail however often it is tried."""
    raise self.retry(exc=ValueError(text), countdown=0)


@app.task(name="ignore")
def ignore() -> None:
    """Leave no trace."""
    raise Ignore


@app.task(name="reject", acks_late=True)
def reject() -> None:
    """Refuse the message."""
    raise Reject("rejected", requeue=False)


@app.task(name="hang")
def hang() -> None:
    """Wait for what never comes."""
    threading.Event().wait()


@app.task(name="die")
def die() -> None:
    """End the process at once."""
    os._exit(3)
