"""Django REST framework: captures the errors of the server that its exception handler turns into responses.

    REST_FRAMEWORK = {"EXCEPTION_HANDLER": "hogbox.integrations.django.rest_framework.exception_handler"}

Django's middleware never sees those. Exceptions that the handler does not turn into a response are raised again by the
framework, and captured by `PostHogMiddleware`, which must be installed too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hogbox.errors import ConfigurationError, MissingDependency
from hogbox.integrations._request_option import RequestProperties
from hogbox.integrations.django.configuration import configuration
from hogbox.integrations.django.middleware import RequestWatch, find_watch

try:
    from rest_framework.views import exception_handler as usual_handler  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise MissingDependency(
        "hogbox.integrations.django.rest_framework needs Django REST framework: pip install djangorestframework"
    ) from error

__all__ = ["ExceptionFilter", "ExceptionHandler", "create_exception_handler", "exception_handler"]

log = logging.getLogger("hogbox")

ExceptionHandler: TypeAlias = Callable[[Exception, Mapping[str, Any]], Any]
"""An exception handler of Django REST framework: receives the exception and `context`; returns a response or None."""

ExceptionFilter: TypeAlias = Callable[[Exception, Any, Mapping[str, Any]], bool]
"""Receives the exception, the response and the handler's `context`; returns whether the exception is captured."""


def create_exception_handler(
    handler: ExceptionHandler | None = None,
    *,
    capture_exceptions: bool | None = None,
    capture_4xx: bool = False,
    exception_filter: ExceptionFilter | None = None,
) -> ExceptionHandler:
    """An exception handler that answers as this one does, and captures errors of the server.

    They are captured as handled, with `$response_status_code`, after the request's transaction has ended; without
    `PostHogMiddleware` at once.

    Arguments:
        handler: The handler of your own; default: that of Django REST framework. What it returns and raises is kept.
        capture_exceptions: Whether to capture any; default: HOGBOX["CAPTURE_EXCEPTIONS"].
        capture_4xx: Capture exceptions that become a 4xx as well.
        exception_filter: Returns False for an exception that is not to be captured. One that raises counts as False.

    Requests that HOGBOX["REQUEST_FILTER"] leaves out stay left out. Raises ConfigurationError for arguments that are
    not functions.
    """
    for name, function in (("handler", handler), ("exception_filter", exception_filter)):
        if function is not None and not callable(function):
            raise ConfigurationError(f"{name} must be a function, not {function!r}")
    lowest = 400 if capture_4xx else 500

    def handle(error: Exception, context: Mapping[str, Any]) -> Any:
        response = usual_handler(error, context) if handler is None else handler(error, context)
        try:
            status = getattr(response, "status_code", None)
            if not isinstance(status, int) or status < lowest:
                return response
            if exception_filter is None or exception_filter(error, response, context):
                _note(error, status, context, captures=capture_exceptions)
        except Exception:
            log.warning("an exception of a request could not be captured", exc_info=True)
        return response

    return handle


exception_handler = create_exception_handler()
"""The handler of Django REST framework, which captures errors of the server."""


def _note(error: Exception, status: int, context: Mapping[str, Any], *, captures: bool | None) -> None:
    request: Any = context["request"]
    watch = find_watch(getattr(request, "_request", request))
    if watch is None:
        watch = RequestWatch(RequestProperties(configuration().requests))
        watch.note_handled(error, status, captures)
        watch.report_handled()
    else:
        watch.note_handled(error, status, captures)
