"""Streamed responses: their parts are produced after the middleware has returned, in the context of the request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from django.http import FileResponse  # type: ignore[import-untyped]

from hogbox.context import Context, use_context


class Report(Protocol):
    """Captures an exception that is raised while the application streams."""

    def __call__(self, error: Exception, *, status: int | None) -> None: ...


def keep_context(response: Any, context: Context, report: Report) -> Any:
    """The response; the parts of a streamed one are produced in the context. Files are left to the server."""
    if response.streaming and not isinstance(response, FileResponse):
        stream = _stream_async if response.is_async else _stream
        told = partial(report, status=response.status_code)
        response.streaming_content = stream(response.streaming_content, context, told)
    return response


def _stream(parts: Iterator[bytes], context: Context, report: Callable[[Exception], None]) -> Iterator[bytes]:
    while True:
        with use_context(context):
            try:
                part = next(parts)
            except StopIteration:
                return
            except Exception as error:
                report(error)
                raise
        yield part


async def _stream_async(
    parts: AsyncIterator[bytes], context: Context, report: Callable[[Exception], None]
) -> AsyncIterator[bytes]:
    while True:
        with use_context(context):
            try:
                part = await anext(parts)
            except StopAsyncIteration:
                return
            except Exception as error:
                await sync_to_async(report)(error)
                raise
        yield part
