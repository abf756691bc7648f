"""`Emulator`: an emulated PostHog on a free port, in a thread, for as long as a `with` block lasts."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from hogbox.emulator.app import create_app
from hogbox.emulator.control import ControlError, read_fault, read_result
from hogbox.emulator.fault import Fault
from hogbox.emulator.record import ReceivedEvent, ReceivedRequest
from hogbox.emulator.script import ScriptedResult
from hogbox.emulator.server import Server, bind, create_server
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.source import FlagsLike, read_flags
from hogbox.emulator.world import EventFilter, RequestFilter, World, unique
from hogbox.errors import UsageError

T = TypeVar("T")


class Emulator:
    """An HTTP server that behaves like PostHog and records the requests and events that it receives.

    Arguments:
        host, port: The address to listen on; port 0 chooses a free one.
        seed: Determines which requests a fault with a `rate` affects, and which events a scripted result.
        settings: See `Settings`.
        limits: Sizes in bytes, and how much is kept.
        flags: Flag definitions in PostHog's format, decoded or as JSON, or the path of a file, which is read again
            when it changes.
        allowed_hosts: Host names that may be used to reach `/_emulator/`, in addition to IP addresses and localhost.

    Methods may be called from any thread while the emulator runs; they raise UsageError when it does not.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        settings: Settings | None = None,
        limits: Limits | None = None,
        flags: FlagsLike = None,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self.host = host
        self.port = port
        self._allowed_hosts = tuple(allowed_hosts)
        self._world = World(settings or Settings(), limits or Limits(), seed=seed, flags=read_flags(flags))
        self._world.on_change = self._notify
        self._changed = threading.Condition()
        self._changes = 0
        self._listening = threading.Event()
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The emulator's URL: the value for POSTHOG_HOST."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def start(self) -> Self:
        """Starts the server; returns when it is listening. Raises UsageError if it can't, or is already running."""
        if self._thread is not None:
            raise UsageError("This emulator is already running.")
        bound = bind(self.host, self.port)
        self._listening.clear()
        self._server = create_server(create_app(self._world, self._allowed_hosts), self._started)
        self._thread = threading.Thread(
            target=self._serve, args=(self._server, bound), name="hogbox-emulator", daemon=True
        )
        self._thread.start()
        self._listening.wait()
        if self._loop is None:
            raise UsageError(f"The emulator could not listen on {self.host}:{self.port}.")
        return self

    def stop(self) -> None:
        """Closes open connections and stops; received events can't be read afterwards."""
        if self._thread is None or self._server is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._thread = self._server = self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def events(
        self,
        *,
        event: str | None = None,
        distinct_id: str | None = None,
        uuid: str | None = None,
        token: str | None = None,
        since: int = 0,
        limit: int | None = None,
        unique: bool = False,
    ) -> list[ReceivedEvent]:
        """The stored events in order of arrival; with `unique`, without the repeats that PostHog merges."""
        wanted = EventFilter(
            event=event,
            distinct_id=distinct_id,
            uuid=uuid,
            token=token,
            since=since,
            limit=limit,
            unique=unique,
        )
        return self._ask(lambda world: wanted.apply(world.events))

    def requests(
        self, *, path: str | None = None, method: str | None = None, since: int = 0, limit: int | None = None
    ) -> list[ReceivedRequest]:
        """All requests in order of arrival, including those that failed."""
        wanted = RequestFilter(path=path, method=method, since=since, limit=limit)
        return self._ask(lambda world: [msgspec.structs.replace(r) for r in wanted.apply(world.requests)])

    def summary(self) -> dict[str, Any]:
        """Counts of requests, events, statuses (also separately for definitions and flags), drops and faults."""
        return self._ask(World.summary)

    def fault(self, **fields: Any) -> Fault:
        """Adds a fault: see `Fault` for the fields. Returns it with its id. Raises UsageError for an invalid one."""
        try:
            fault = read_fault(fields)
        except (ControlError, msgspec.ValidationError) as error:
            raise UsageError(f"This fault is invalid: {error}.") from None
        return self._ask(lambda world: world.faults.add(fault))

    def faults(self) -> list[Fault]:
        """The faults, with how often each has fired."""
        return self._ask(lambda world: [msgspec.structs.replace(fault) for fault in world.faults])

    def clear_faults(self) -> None:
        """Removes every fault."""
        self._ask(lambda world: world.faults.clear())

    def result(self, **fields: Any) -> ScriptedResult:
        """Scripts results of capture v1: see `ScriptedResult`. Returns it with its id. Raises UsageError if invalid."""
        try:
            result = read_result(fields)
        except (ControlError, msgspec.ValidationError) as error:
            raise UsageError(f"This result is invalid: {error}.") from None
        return self._ask(lambda world: world.results.add(result))

    def results(self) -> list[ScriptedResult]:
        """The scripted results, with how many events each has affected."""
        return self._ask(lambda world: [msgspec.structs.replace(result) for result in world.results])

    def clear_results(self) -> None:
        """Removes every scripted result."""
        self._ask(lambda world: world.results.clear())

    def configure(self, **changes: Any) -> Settings:
        """Changes settings while it runs: see `Settings` for the fields. Returns them all."""

        def change(world: World) -> Settings:
            current = msgspec.to_builtins(world.settings)
            world.settings = msgspec.convert({**current, **changes}, Settings)
            return world.settings

        try:
            return self._ask(change)
        except msgspec.ValidationError as error:
            raise UsageError(f"These settings cannot be: {error}.") from None

    def set_flags(self, flags: FlagsLike) -> None:
        """Puts other flags in force, given as to `Emulator`; None: a project that never had any."""
        source = read_flags(flags)
        self._ask(lambda world: world.source.set(source))

    def flags(self) -> dict[str, Any] | None:
        """The definitions in force, for the caller to keep."""
        current = self._ask(lambda world: world.source.current())
        return None if current is None else msgspec.json.decode(current.body, type=dict[str, Any])

    def reset(self) -> None:
        """Drops all received data, removes faults and scripted results, and restores the initial settings and flags."""
        self._ask(World.reset)

    def wait_for(self, condition: Callable[[Emulator], bool], timeout: float = 10.0) -> None:
        """Waits until the condition returns True; it is called after every change. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while True:
            seen = self._changes
            if condition(self):
                return
            with self._changed:
                left = deadline - time.monotonic()
                if not self._changed.wait_for(lambda seen=seen: self._changes != seen, left):  # type: ignore[misc]
                    raise TimeoutError(f"the condition was not met within {timeout} s: {self.summary()}")

    def wait_for_events(self, count: int, timeout: float = 10.0) -> list[ReceivedEvent]:
        """Waits for at least `count` unique events and returns the unique events. Raises TimeoutError."""

        def enough(world: World) -> bool:
            return world.events_received >= count and len(unique(world.events)) >= count

        self.wait_for(lambda emulator: emulator._ask(enough), timeout)
        return self.events(unique=True)

    def _ask(self, question: Callable[[World], T]) -> T:
        """Runs a function on the world, in the event loop that owns it."""
        loop = self._loop
        if loop is None:
            raise UsageError("This emulator is not running: use it in a `with` block, or call start().")
        answer: Future[T] = Future()

        def reply() -> None:
            try:
                answer.set_result(question(self._world))
            except BaseException as error:
                answer.set_exception(error)

        loop.call_soon_threadsafe(reply)
        return answer.result()

    def _serve(self, server: Server, bound: socket.socket) -> None:
        try:
            with bound:
                server.run(sockets=[bound])
        finally:
            self._loop = None
            self._listening.set()

    def _started(self, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.port = port
        self._listening.set()

    def _notify(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
