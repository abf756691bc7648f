"""The methods of `DjangoPostHog` for asynchronous views: each is awaited and runs in the ORM's own thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from hogbox.bound import BoundPostHog
from hogbox.client import PostHog
from hogbox.integrations.django.client import DjangoPostHog

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    method: Callable[Concatenate[BoundPostHog, P], T],
) -> Callable[Concatenate[AsyncDjangoPostHog, P], Coroutine[Any, Any, T]]:
    async def call(self: AsyncDjangoPostHog, /, *args: P.args, **options: P.kwargs) -> T:
        def run() -> T:
            return method(self.bound, *args, **options)

        return await sync_to_async(run, thread_sensitive=True)()

    update_wrapper(call, method)
    return call


class AsyncDjangoPostHog:
    """The capturing and flag-reading methods, awaited, on the connection that `await Order.objects.acreate()` uses.

    Django has no asynchronous transactions: put the transaction into a synchronous function that uses `posthog`, and
    call it with `sync_to_async`.
    """

    def __init__(self, bound: DjangoPostHog) -> None:
        self.bound = bound

    @property
    def client(self) -> PostHog:
        """The client itself, for all other methods; it is synchronous."""
        return self.bound.client

    def using(self, database: Any) -> AsyncDjangoPostHog:
        """The same methods in another database, by its alias, or in the transaction of another handle."""
        return AsyncDjangoPostHog(self.bound.using(database))

    capture = _awaited(BoundPostHog.capture)
    capture_ai = _awaited(BoundPostHog.capture_ai)
    identify = _awaited(BoundPostHog.identify)
    group_identify = _awaited(BoundPostHog.group_identify)
    alias = _awaited(BoundPostHog.alias)
    capture_exception = _awaited(BoundPostHog.capture_exception)
    get_feature_flag = _awaited(BoundPostHog.get_feature_flag)
    is_feature_enabled = _awaited(BoundPostHog.is_feature_enabled)
    get_feature_flag_payload = _awaited(BoundPostHog.get_feature_flag_payload)
    get_feature_flag_result = _awaited(BoundPostHog.get_feature_flag_result)
    get_remote_config_payload = _awaited(BoundPostHog.get_remote_config_payload)
    get_all_flags = _awaited(BoundPostHog.get_all_flags)
    get_all_flags_and_payloads = _awaited(BoundPostHog.get_all_flags_and_payloads)
    get_flag_definitions = _awaited(BoundPostHog.get_flag_definitions)
    flags = _awaited(BoundPostHog.flags)
    evaluate_flag = _awaited(BoundPostHog.evaluate_flag)
    evaluate_flag_payload = _awaited(BoundPostHog.evaluate_flag_payload)
    evaluate_all_flags = _awaited(BoundPostHog.evaluate_all_flags)
