"""The lifespan of an application: it delivers for as long as it runs, and drains what waits when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hogbox import AsyncPostHog, PostHog
from hogbox.emulator import Emulator
from hogbox.errors import ConfigurationError, TablesMissing
from hogbox.integrations.starlette import posthog_lifespan
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.waiting import wait_until
from tests.integrations.fastapi.serving import served

Client = PostHog | AsyncPostHog
MakeClient = Callable[[TestDatabase], Client]

QUICK = DeliverySettings(batch_events=5, poll_seconds=0.1, request_timeout_seconds=1, lease_seconds=2)


@pytest.fixture(params=[PostHog, AsyncPostHog])
def make_client(request: pytest.FixtureRequest, emulator: Emulator) -> MakeClient:
    """Makes clients of either kind that deliver to the emulator, five events a request."""
    kind: type[Client] = request.param
    return lambda database: kind(database.url, project_token="phc_lifespan", host=emulator.url, delivery=QUICK)


def capture(database: TestDatabase, count: int) -> None:
    """Capture events of so many people in one transaction, as another process would."""
    with PostHog(database.engine, project_token="phc_lifespan") as other, database.engine.begin() as connection:
        for number in range(count):
            other.capture(connection, "captured", distinct_id=f"person-{number}")


def test_an_application_delivers_while_it_runs(
    make_client: MakeClient, sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    async def capture_one(request: Request) -> Response:
        capture(sqlite_database, 1)
        return Response()

    posthog = make_client(sqlite_database)
    app = Starlette(routes=[Route("/", capture_one)], lifespan=posthog_lifespan(posthog))
    with served(app) as client:
        state = app.state.posthog if isinstance(posthog, PostHog) else app.state.async_posthog
        assert state is posthog
        client.get("/").raise_for_status()
        emulator.wait_for_events(1)
        assert sqlite_database.count("posthog_workers") == 1
    assert sqlite_database.count("posthog_workers") == 0


def test_what_waits_when_it_ends_is_delivered(
    make_client: MakeClient, sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    emulator.fault(delay=0.05)

    async def live() -> None:
        async with posthog_lifespan(make_client(sqlite_database))(Starlette()):
            capture(sqlite_database, 100)

    asyncio.run(live())
    assert len(emulator.events(unique=True)) == 100
    assert sqlite_database.events() == []
    assert sqlite_database.count("posthog_workers") == 0


@pytest.mark.parametrize(("worker", "drain_timeout"), [(False, 5.0), (True, 0.0)], ids=["no worker", "no time"])
def test_it_leaves_what_waits_to_others_where_it_is_told_to(
    make_client: MakeClient, sqlite_database: TestDatabase, emulator: Emulator, worker: bool, drain_timeout: float
) -> None:
    emulator.fault(delay=0.05)

    async def live() -> None:
        lifespan = posthog_lifespan(make_client(sqlite_database), worker=worker, drain_timeout=drain_timeout)
        async with lifespan(Starlette()):
            capture(sqlite_database, 100)

    asyncio.run(live())
    wait_until(lambda: not workers(sqlite_database), "the worker to end")
    assert len(emulator.events(unique=True)) + len(sqlite_database.events()) == 100
    assert len(sqlite_database.events()) >= 80


def test_p8_a_posthog_that_fails_does_not_hold_up_the_end(
    make_client: MakeClient, sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.fault(status=503)

    async def live() -> float:
        async with posthog_lifespan(make_client(sqlite_database), drain_timeout=0.5)(Starlette()):
            capture(sqlite_database, 3)
            ends = time.monotonic()
        return time.monotonic() - ends

    assert asyncio.run(live()) < 2.5
    assert len(sqlite_database.events()) == 3
    assert "3 events left for the next worker" in caplog.text


def test_p8_a_database_that_fails_does_not_fail_the_end(
    make_client: MakeClient, sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> None:
        async with posthog_lifespan(make_client(sqlite_database))(Starlette()):
            sqlite_database.execute("DROP TABLE posthog_outbox")

    asyncio.run(live())
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "hogbox failed to shut down" in told.message


def test_p8_a_database_that_does_not_answer_does_not_hold_up_the_end(
    make_client: MakeClient, sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    async def live() -> float:
        with sqlite_database.engine.connect() as connection:
            async with posthog_lifespan(make_client(sqlite_database), drain_timeout=0.5)(Starlette()):
                await asyncio.to_thread(wait_until, lambda: workers(sqlite_database), "the worker")
                connection.exec_driver_sql("BEGIN EXCLUSIVE")  # everybody else waits, for up to 30 s
                ends = time.monotonic()
            return time.monotonic() - ends

    assert asyncio.run(live()) < 3
    assert "hogbox did not shut down in time" in caplog.text


def test_p8_a_database_that_stops_answering_during_the_end_does_not_hold_it_up(
    make_client: MakeClient, sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.fault(delay=0.1)

    async def live() -> float:
        with sqlite_database.engine.connect() as connection:

            def lock() -> None:
                first = workers(sqlite_database)
                wait_until(lambda: workers(sqlite_database) not in ([], first), "the drain")
                connection.exec_driver_sql("BEGIN EXCLUSIVE")

            async with posthog_lifespan(make_client(sqlite_database), drain_timeout=0.5)(Starlette()):
                await asyncio.to_thread(wait_until, lambda: workers(sqlite_database), "the worker")
                capture(sqlite_database, 200)
                locking = asyncio.create_task(asyncio.to_thread(lock))
                await asyncio.sleep(0)
                ends = time.monotonic()
            took = time.monotonic() - ends
            await locking
            return took

    assert asyncio.run(live()) < 3
    assert "hogbox did not shut down in time" in caplog.text


def workers(database: TestDatabase) -> list[object]:
    return [row["id"] for row in database.rows("posthog_workers")]


def test_it_does_not_start_without_tables(make_client: MakeClient, sqlite_database: TestDatabase) -> None:
    sqlite_database.execute("DROP TABLE posthog_schema")

    async def live() -> None:
        async with posthog_lifespan(make_client(sqlite_database))(Starlette()):
            raise AssertionError("it started")

    with pytest.raises(TablesMissing):
        asyncio.run(live())


def test_an_exception_of_the_application_is_raised_on(make_client: MakeClient, sqlite_database: TestDatabase) -> None:
    async def live() -> None:
        async with posthog_lifespan(make_client(sqlite_database))(Starlette()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(live())
    assert sqlite_database.count("posthog_workers") == 0


def test_what_can_not_work_is_told_at_once(sqlite_database: TestDatabase) -> None:
    with pytest.raises(ConfigurationError, match=r"a hogbox\.PostHog or AsyncPostHog, not Engine"):
        posthog_lifespan(sqlite_database.engine)  # type: ignore[arg-type]
    posthog = PostHog(sqlite_database.engine, project_token="phc_lifespan")
    for timeout in (-1, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match="drain_timeout must be a finite number of seconds"):
            posthog_lifespan(posthog, drain_timeout=timeout)


def test_the_database_of_the_lifespan_may_be_the_engine_of_the_application(
    sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    """It is not disposed of: the application's own lifespan may go on with it."""
    use_wal(sqlite_database)
    posthog = PostHog(sqlite_database.engine, project_token="phc_lifespan", host=emulator.url, delivery=QUICK)

    async def live() -> int | None:
        with sqlite_database.engine.connect() as connection:
            async with posthog_lifespan(posthog)(Starlette()):
                capture(sqlite_database, 1)
            answer: int | None = connection.scalar(sa.text("SELECT count(*) FROM posthog_outbox"))
            return answer

    assert asyncio.run(live()) == 0
    assert len(emulator.events()) == 1
