"""The endpoints of the emulated PostHog: what answers a path, and what is usual there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Literal, TypeAlias

import msgspec

from hogbox.emulator.answer import (
    ALIVE,
    CAPTURE_ANSWERS,
    NOT_ALLOWED,
    NOT_FOUND,
    EmulatorResponse,
    Outcome,
    Request,
)
from hogbox.emulator.capture import AI_PATH, PATHS, capture
from hogbox.emulator.evaluation import PATHS as FLAGS_PATHS
from hogbox.emulator.evaluation import Project, evaluate
from hogbox.emulator.flag_answer import DEFINITIONS_ANSWERS, FLAGS_ANSWERS, REMOTE_CONFIG_ANSWERS
from hogbox.emulator.polling import PATHS as DEFINITIONS_PATHS
from hogbox.emulator.polling import poll
from hogbox.emulator.remote_config import is_remote_config, remote_config
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.v1.answer import V1_ANSWERS
from hogbox.emulator.v1.capture import V1_AI_PATH, V1_PATH, capture_v1
from hogbox.emulator.v1.header import REQUEST_ID
from hogbox.emulator.world import World

Interrupted: TypeAlias = Literal["too large", "stalled"] | None
Handler = Callable[[Request, Settings, Limits, Random], Outcome]


class Endpoint(msgspec.Struct, frozen=True):
    """What answers a path, and whether faults without a path are meant for it.

    `usual` are the answers of faults that name only a status; `counted_as` is its place in the summary; `wire` names
    the limit of a body, `switches` the settings without which the server has no such path, and `echoes` the header
    that every answer repeats. `reads_cut` endpoints answer requests whose body did not arrive as a whole themselves.
    """

    handle: Handler
    is_capture: bool = False
    usual: Mapping[int, EmulatorResponse] = msgspec.field(default_factory=lambda: CAPTURE_ANSWERS)
    counted_as: str | None = None
    wire: str = "wire"
    switches: tuple[str, ...] = ()
    echoes: str | None = None
    reads_cut: bool = False

    def exists(self, settings: Settings) -> bool:
        """Whether the server has it."""
        return all(getattr(settings, switch) for switch in self.switches)


def _alive(request: Request, *_: object) -> Outcome:
    return Outcome(answer=ALIVE if request.method in ("GET", "HEAD") else NOT_ALLOWED)


def _not_found(*_: object) -> Outcome:
    return Outcome(answer=NOT_FOUND)


ENDPOINTS: dict[str, Endpoint] = {
    **{path: Endpoint(capture, is_capture=True) for path in PATHS},
    AI_PATH: Endpoint(capture, is_capture=True, switches=("ai_lane",)),
    **{path: Endpoint(_alive) for path in ("/", "/_readiness", "/_liveness")},
}
"""By path without its trailing slash: PostHog's endpoints answer with and without one."""

_NOWHERE = Endpoint(_not_found)


def flag_endpoints(world: World) -> dict[str, Endpoint]:
    """The endpoints that answer out of the world's flags and profiles, too."""

    def definitions(request: Request, settings: Settings, *_: object) -> Outcome:
        return poll(request, settings, world.source.current(), world.rate_limiter.admit)

    def flags(request: Request, settings: Settings, limits: Limits, random: Random) -> Outcome:
        project = Project(world.source.current(), world.profiles, world.rate_limiter)
        return evaluate(request, settings, limits, project, random)

    polled = Endpoint(definitions, usual=DEFINITIONS_ANSWERS, counted_as="definitions")
    evaluated = Endpoint(flags, usual=FLAGS_ANSWERS, counted_as="flags")
    return {**dict.fromkeys(DEFINITIONS_PATHS, polled), **dict.fromkeys(FLAGS_PATHS, evaluated)}


def v1_endpoints(world: World) -> dict[str, Endpoint]:
    """The endpoints of capture v1, which answer for each event, and by the world's scripted results."""

    def handle(request: Request, settings: Settings, limits: Limits, _: Random) -> Outcome:
        return capture_v1(request, settings, limits, world.results)

    def endpoint(wire: str, *switches: str) -> Endpoint:
        return Endpoint(
            handle,
            is_capture=True,
            usual=V1_ANSWERS,
            wire=wire,
            switches=switches,
            echoes=REQUEST_ID,
            reads_cut=True,
        )

    return {V1_PATH: endpoint("v1_wire", "capture_v1"), V1_AI_PATH: endpoint("wire", "capture_v1", "ai_lane")}


def remote_config_endpoint(world: World) -> Endpoint:
    """The endpoint of the payloads of single flags."""

    def handle(request: Request, settings: Settings, *_: object) -> Outcome:
        return remote_config(request, settings, world.source.current(), world.rate_limiter.admit)

    return Endpoint(handle, usual=REMOTE_CONFIG_ANSWERS)


class EndpointTable:
    """All endpoints over one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._remote_config = remote_config_endpoint(world)
        self._by_path = {**ENDPOINTS, **v1_endpoints(world), **flag_endpoints(world)}

    def find(self, path: str) -> Endpoint:
        """The endpoint of a path, as far as the server has it."""
        if is_remote_config(path):
            return self._remote_config
        endpoint = self._by_path.get(path.removesuffix("/") or "/", _NOWHERE)
        return endpoint if endpoint.exists(self._world.settings) else _NOWHERE
