"""FastAPI: dependencies for the client and for a person's flags, and the lifespan and middleware of Starlette.

SessionDep = Annotated[AsyncSession, Depends(get_session)]
FlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(SessionDep))]

app = FastAPI(lifespan=posthog_lifespan(posthog))
app.add_middleware(HogboxMiddleware, posthog=posthog)

@app.post("/orders")
async def place_order(session: SessionDep, posthog: AsyncPostHogDep, flags: FlagsDep) -> None: ...
"""

# No postponed annotations here: FastAPI could not resolve those that refer to a function's local variables.

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


# Coroutine functions although they await nothing: FastAPI would call plain functions in a thread.
async def get_posthog(connection: HTTPConnection) -> PostHog:
    """The application's `PostHog`, from `app.state.posthog`. Raises ConfigurationError if there is none."""
    return _find(connection, PostHog)


async def get_async_posthog(connection: HTTPConnection) -> AsyncPostHog:
    """The application's `AsyncPostHog`, from `app.state.async_posthog`. Raises ConfigurationError if there is none."""
    return _find(connection, AsyncPostHog)


PostHogDep = Annotated[PostHog, Depends(get_posthog)]
AsyncPostHogDep = Annotated[AsyncPostHog, Depends(get_async_posthog)]


def flags_of(session: object) -> Callable[..., Flags]:
    """A dependency that returns the current user's flags, read in the session of the request.

    Arguments:
        session: The dependency that provides the session: its annotation, as for endpoints, or the function.

    Reads raise what `PostHog.flags` raises. Without a signed-in user, every flag is inconclusive. Raises
    ConfigurationError for an invalid `session`.
    """

    def get_flags(posthog: PostHogDep, session: _dependency(session)) -> Flags:  # type: ignore[valid-type]
        return posthog.flags(session)

    return get_flags


def async_flags_of(session: object) -> Callable[..., AsyncIterator[AsyncFlags]]:
    """The same for `AsyncPostHog` and an asynchronous session.

    Pending exposures of the values that the endpoint read are written after it has returned, before the session is
    closed. They are kept if the session's dependency commits then. An endpoint that commits itself should pass the
    flags to `capture`, or await `flags.write_exposures()`, before it commits. An endpoint that raises writes none.
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
        f"app.state.{name} is not set to a {kind.__name__}: use posthog_lifespan(...) as the application's lifespan "
        "(a mounted application has its own state: set it there too)"
    )


def _dependency(session: object) -> Any:
    """The annotation of a parameter for this session."""
    declared = getattr(session, "__value__", session)  # of an alias made with `type`
    if get_origin(declared) is Annotated:
        return declared
    if callable(declared):
        return Annotated[Any, Depends(declared)]
    raise ConfigurationError(
        f"session must be Annotated[Session, Depends(get_session)] or the function get_session, not {session!r}"
    )
