"""FastAPI: dependencies for the client and for a person's flags, beside the lifespan and middleware of Starlette.

SessionDep = Annotated[AsyncSession, Depends(get_session)]
FlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(SessionDep))]

app = FastAPI(lifespan=posthog_lifespan(posthog))
app.add_middleware(HogboxMiddleware, posthog=posthog)

@app.post("/orders")
async def place_order(session: SessionDep, posthog: AsyncPostHogDep, flags: FlagsDep) -> None: ...
"""

# Annotations are not put off here: FastAPI could not resolve those that name what is local to a function.

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar, get_origin

from hogbox import AsyncFlags, Flags
from hogbox.aio import AsyncPostHog
from hogbox.client import PostHog
from hogbox.errors import ConfigurationError, MissingDependency

try:
    from fastapi import Depends
    from fastapi.requests import HTTPConnection
except ModuleNotFoundError as missing:
    raise MissingDependency("hogbox.integrations.fastapi needs FastAPI: pip install 'hogbox[fastapi]'") from missing

from hogbox.integrations._request import CLIENT_NAMES
from hogbox.integrations.starlette import HogboxMiddleware, posthog_lifespan

__all__ = [
    "AsyncPostHogDep",
    "HogboxMiddleware",
    "PostHogDep",
    "async_flags_of",
    "flags_of",
    "get_async_posthog",
    "get_posthog",
    "posthog_lifespan",
]

_Client = TypeVar("_Client", PostHog, AsyncPostHog)


# Asynchronous, though they wait for nothing: FastAPI would call plain functions in a thread.
async def get_posthog(connection: HTTPConnection) -> PostHog:
    """The application's `PostHog`, from `app.state.posthog`. Raises ConfigurationError where there is none."""
    return _find(connection, PostHog)


async def get_async_posthog(connection: HTTPConnection) -> AsyncPostHog:
    """The application's `AsyncPostHog`, from `app.state.async_posthog`. Raises ConfigurationError if there is none."""
    return _find(connection, AsyncPostHog)


PostHogDep = Annotated[PostHog, Depends(get_posthog)]
AsyncPostHogDep = Annotated[AsyncPostHog, Depends(get_async_posthog)]


def flags_of(session: object) -> Callable[..., Flags]:
    """A dependency: the flags of the person whose request it is, read in the session of the request.

    Arguments:
        session: The dependency that gives the session, annotated as for endpoints, or the function alone.

    Reads raise what `PostHog.flags` raises. Where nobody is signed in, every flag is inconclusive.
    """

    def get_flags(posthog: PostHogDep, session: _dependency(session)) -> Flags:  # type: ignore[valid-type]
        return posthog.flags(session)

    return get_flags


def async_flags_of(session: object) -> Callable[..., AsyncIterator[AsyncFlags]]:
    """The same for `AsyncPostHog` and an asynchronous session.

    Exposures of values that the endpoint read, and did not write, are written when it has returned, before the session
    is given back. They are kept if its transaction is committed then: an endpoint that commits by itself passes the
    flags to `capture`, or awaits `flags.write_exposures()`, before it does. One that raised leaves none.
    """

    async def get_flags(
        posthog: AsyncPostHogDep,
        session: _dependency(session),  # type: ignore[valid-type]
    ) -> AsyncIterator[AsyncFlags]:
        flags = await posthog.flags(session)
        yield flags
        await flags.write_exposures()

    return get_flags


def _find(connection: HTTPConnection, kind: type[_Client]) -> _Client:
    name = CLIENT_NAMES[kind]
    client = getattr(connection.app.state, name, None)
    if isinstance(client, kind):
        return client
    raise ConfigurationError(
        f"app.state.{name} is no {kind.__name__}: give the application posthog_lifespan(...) with one "
        "(a mounted application has a state of its own: set it there too)"
    )


def _dependency(session: object) -> Any:
    """The annotation of a parameter that is this session."""
    declared = getattr(session, "__value__", session)  # of an alias made with `type`
    if get_origin(declared) is Annotated:
        return declared
    if callable(declared):
        return Annotated[Any, Depends(declared)]
    raise ConfigurationError(
        f"flags are read in a session: pass Annotated[Session, Depends(get_session)], or get_session, not {session!r}"
    )
