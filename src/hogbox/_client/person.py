"""Person: which distinct id an event or a read of flags is for."""

from __future__ import annotations

from hogbox._events.identity import resolve
from hogbox.context import get_context
from hogbox.errors import MissingDistinctId


def resolve_person(identified: object, argument: object) -> str | None:
    """The distinct id: what the `identify` callback returned, else the argument, else the context's.

    None where a context names nobody. Raises MissingDistinctId outside of a context, or in one that is not personless,
    and InvalidEvent for a value that can't be an id.
    """
    if identified is not None or argument is not None:
        return resolve(identified, argument)
    context = get_context()
    person = None if context is None else context.person()
    if person is None and (context is None or not context.personless):
        raise MissingDistinctId()
    return person


def require_person(person: str | None) -> str:
    """The same, where there has to be one. Raises MissingDistinctId."""
    if person is None:
        raise MissingDistinctId()
    return person
