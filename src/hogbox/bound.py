"""Bound clients: the methods of a client without `ctx`; a callback returns the current transaction instead.

For frameworks with a current transaction, such as Django, and for code that receives one from its caller.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from hogbox.client import PostHog

__all__ = ["BoundPostHog"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _bound(
    method: Callable[Concatenate[PostHog, Any, _P], _T],
) -> Callable[Concatenate[BoundPostHog, _P], _T]:
    def call(self: BoundPostHog, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return method(self.client, self.current_ctx(), *args, **options)

    update_wrapper(call, method)
    return call


class BoundPostHog:
    """The capturing and flag-reading methods of `PostHog`, each in the transaction that `current_ctx` returns.

    Arguments:
        client: A `PostHog`, or a function that returns one. The function is called at each use of the client, so the
            client need not exist before the first use.
        current_ctx: Called at each method call; returns a transaction as `PostHog` takes it, or None.
    """

    def __init__(self, client: PostHog | Callable[[], PostHog], current_ctx: Callable[[], Any]) -> None:
        self._client = client
        self.current_ctx: Final = current_ctx

    @property
    def client(self) -> PostHog:
        """The client itself, for all other methods."""
        return self._client if isinstance(self._client, PostHog) else self._client()

    def _report_escaped(self, error: BaseException) -> None:
        self.client._report_escaped(error)

    capture = _bound(PostHog.capture)
    capture_ai = _bound(PostHog.capture_ai)
    identify = _bound(PostHog.identify)
    group_identify = _bound(PostHog.group_identify)
    alias = _bound(PostHog.alias)
    capture_exception = _bound(PostHog.capture_exception)
    get_feature_flag = _bound(PostHog.get_feature_flag)
    is_feature_enabled = _bound(PostHog.is_feature_enabled)
    get_feature_flag_payload = _bound(PostHog.get_feature_flag_payload)
    get_feature_flag_result = _bound(PostHog.get_feature_flag_result)
    get_remote_config_payload = _bound(PostHog.get_remote_config_payload)
    get_all_flags = _bound(PostHog.get_all_flags)
    get_all_flags_and_payloads = _bound(PostHog.get_all_flags_and_payloads)
    flags = _bound(PostHog.flags)
    evaluate_flag = _bound(PostHog.evaluate_flag)
    evaluate_flag_payload = _bound(PostHog.evaluate_flag_payload)
    evaluate_all_flags = _bound(PostHog.evaluate_all_flags)
    get_flag_definitions = _bound(PostHog.get_flag_definitions)
