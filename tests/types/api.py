"""Read by type checkers only: what the public names accept, refuse and return. Nobody runs it.

`assert_type` says what is returned. A line that must be refused ends with the ignores of both checkers, mypy's and
pyright's; each reports an ignore that nothing needs, so that a line which is accepted by mistake is an error too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from hogbox import AsyncFlags, AsyncPostHog, Event, Flags, HogboxError, PostHog
from hogbox._client.flag_reader import FlagValues
from hogbox._client.recorder import Discarded
from hogbox._worker.refresher import Refresh
from hogbox._worker.worker import Delivery
from hogbox.bound import BoundPostHog
from hogbox.context import Context, get_context, identify_context, new_context, tag
from hogbox.flags import Explanation, FlagResult, FlagSet, FlagValue
from hogbox.schema import create_tables
from hogbox.settings import DeliverySettings


def clients(engine: sa.Engine, async_engine: AsyncEngine) -> None:
    PostHog()
    PostHog("sqlite:///app.db", project_token="phc_x", host="https://eu.i.posthog.com")
    PostHog(engine, before_send=lambda event: event)
    PostHog(engine, before_send=[lambda _: None, redact], identify=lambda _: 7)
    PostHog(async_engine, delivery=DeliverySettings(batch_events=10))
    AsyncPostHog(async_engine, identify=ask)
    AsyncPostHog(engine, identify=lambda _: UUID(int=1))
    PostHog(engine, identify=ask)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PostHog(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PostHog(engine, "phc_x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PostHog(engine, token="phc_x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PostHog(engine, before_send=lambda _: 3)  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType]
    AsyncPostHog(engine, identify=lambda _: 3.5)  # type: ignore[arg-type,return-value]  # pyright: ignore[reportArgumentType]


def redact(event: Event) -> Event | None:
    assert_type(event["event"], str)
    assert_type(event["properties"], dict[str, Any])
    print(event["name"])  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]
    return event if event["distinct_id"] else None


async def ask(ctx: Any) -> str | None:
    return None


def capturing(posthog: PostHog, session: Session, moment: datetime) -> None:
    assert_type(posthog.capture(session, "paid", distinct_id="u1", properties={"total": 3}), str | None)
    posthog.capture(None, "paid", distinct_id=7, groups={"company": "c-19"}, timestamp=moment, uuid=UUID(int=1))
    assert_type(posthog.identify(session, distinct_id="u1", properties={"$set": {}}), str | None)
    assert_type(posthog.group_identify(session, "company", 19), str | None)
    assert_type(posthog.alias(session, "anon", distinct_id="u1"), str | None)
    assert_type(posthog.capture_exception(session), str | None)
    posthog.capture_exception(session, ValueError("x"), level="warning", handled=False)
    assert_type(posthog.discarded, Discarded)
    posthog.capture("paid")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    posthog.capture(session, "paid", "u1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    posthog.capture(session, 7, distinct_id="u1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    posthog.capture(session, "paid", distinct_id=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    posthog.capture(session, "paid", properties=["total"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    posthog.capture(session, "paid", timestamp="now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    posthog.capture(session, "paid", flags={"on": True})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    posthog.capture(session, "paid", distinctId="u1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def reading(posthog: PostHog, session: Session) -> None:
    assert_type(posthog.is_feature_enabled(session, "on", distinct_id="u1"), bool | None)
    assert_type(posthog.get_all_flags(session, distinct_id="u1"), dict[str, bool | str])
    values = posthog.get_all_flags_and_payloads(session, distinct_id="u1", flag_keys=["on"])
    assert_type(values, FlagValues)
    assert_type(values.payloads, dict[str, Any])
    found = posthog.get_feature_flag_result(session, "on", distinct_id="u1")
    assert_type(found, FlagResult | None)
    flags = posthog.flags(session, distinct_id="u1", person_properties={"plan": "pro"})
    assert_type(flags, Flags)
    assert_type(flags.keys, tuple[str, ...])
    assert_type(flags.is_enabled("on"), bool | None)
    assert_type(flags.result("on"), FlagResult)
    assert_type(flags.explain("on"), Explanation)
    posthog.capture(session, "paid", distinct_id="u1", flags=flags)
    posthog.get_feature_flag(session, distinct_id="u1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    posthog.get_feature_flag(session, "on", groups="c-19")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    posthog.get_feature_flag(session, "on", fallback=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    print(found.value)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def running(posthog: PostHog, engine: sa.Engine) -> None:
    assert_type(posthog.deliver(timeout=None, progress=print), Delivery)
    assert_type(posthog.refresh_flag_definitions(), Refresh)
    assert_type(create_tables(engine), tuple[int, int])
    with posthog as same:
        assert_type(same, PostHog)
    posthog.deliver(30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def awaiting(posthog: AsyncPostHog, session: AsyncSession) -> None:
    assert_type(await posthog.capture(session, "paid", distinct_id="u1"), str | None)
    assert_type(await posthog.is_feature_enabled(session, "on", distinct_id="u1"), bool | None)
    flags = await posthog.flags(session, distinct_id="u1")
    assert_type(flags, AsyncFlags)
    assert_type(flags.is_enabled("on"), bool | None)
    await flags.write_exposures()
    await posthog.capture(session, "paid", distinct_id="u1", flags=flags)
    assert_type(await posthog.deliver(), Delivery)
    async with posthog as same:
        assert_type(same, AsyncPostHog)
    with posthog:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    (await posthog.get_all_flags(session)).pop(7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    posthog.flags(session).get("on")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def bound(posthog: BoundPostHog) -> None:
    assert_type(posthog.capture("paid", distinct_id="u1"), str | None)
    assert_type(posthog.is_feature_enabled("on", distinct_id="u1"), bool | None)
    assert_type(posthog.client, PostHog)
    posthog.capture(None, "paid")  # type: ignore[call-arg,arg-type]  # pyright: ignore[reportCallIssue]
    posthog.capture("paid", distinct=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def contexts() -> None:
    with new_context(distinct_id=7, tags={"plan": "pro"}, personless=True) as context:
        assert_type(context, Context)
    assert_type(get_context(), Context | None)
    identify_context(UUID(int=1))
    tag("plan", object())
    identify_context(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tag(3, "plan")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    new_context("u1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def evaluating(definitions: bytes) -> None:
    flag_set = FlagSet.parse(definitions, timezone="Europe/Berlin")
    result = flag_set.evaluate("on", distinct_id="u1")
    assert_type(result, FlagResult)
    assert_type(result.value, FlagValue)
    assert_type(flag_set.evaluate_all(distinct_id="u1"), dict[str, FlagResult])
    flag_set.evaluate("on")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FlagSet.parse(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def errors(error: HogboxError) -> str:
    return str(error)
