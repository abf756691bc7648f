"""Description: an exception -> the properties of its event, with the project's directories and source files."""

from __future__ import annotations

import logging
import threading
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple

from hogbox._client.source_file import RealPaths, library_directories, source_lines, working_directory
from hogbox._events.exception import bare_properties, exception_properties
from hogbox._events.frame import ProjectCode
from hogbox._events.in_app import CodePlaces
from hogbox._events.stamp import is_exception
from hogbox._events.value import class_name, error_text
from hogbox._settings.client import ClientSettings

log = logging.getLogger("hogbox")


class Raised(NamedTuple):
    """An error, and its traceback where the error itself has none."""

    error: object
    traceback: TracebackType | None = None

    @classmethod
    def given(cls, error: object) -> Raised:
        """What the caller passed: an exception, the tuple of `sys.exc_info()`, or anything else."""
        if type(error) is tuple and len(error) == 3:
            kind, value, traceback = error
            if kind is None and value is None:
                return cls(None)
            if is_exception(value):
                return cls(value, traceback if type(traceback) is TracebackType else None)
        return cls(error)


class ExceptionDescription:
    """Describes exceptions for one client."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._root = working_directory("")
        self._paths = RealPaths()
        self._logging = threading.local()

    def properties(self, error: object, details: dict[str, Any]) -> dict[str, Any]:
        """The properties, or only the name of the class where the rest can't be read. Never raises."""
        try:
            return exception_properties(error, project=self._project(), **details)
        except Exception as trouble:
            log.warning("exception captured with its class only, its details can't be read: %s", error_text(trouble))
            return bare_properties(error)

    def log(self, error: object) -> None:
        """Log a captured exception, if that is wanted; not if a handler of the log captures what is logged here."""
        if not self._settings.log_captured_exceptions or getattr(self._logging, "entered", False):
            return
        self._logging.entered = True
        try:
            log.error("captured %s", class_name(error), exc_info=error if is_exception(error) else None)
        finally:
            self._logging.entered = False

    @cached_property
    def _libraries(self) -> tuple[str, ...]:
        return library_directories()

    def _project(self) -> ProjectCode:
        settings = self._settings
        places = CodePlaces(
            root=settings.project_root or self._root or working_directory(""),
            include=settings.in_app_modules,
            exclude=settings.in_app_exclude,
            libraries=self._libraries,
            real=self._paths.resolve,
        )
        return ProjectCode(lines=source_lines, places=places, local_variables=settings.exception_locals)
