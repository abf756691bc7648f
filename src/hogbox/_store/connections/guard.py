"""Guard: ends connections on which the database has stopped answering, whatever the driver offers against that."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

_PULSE: Final = 0.5
_IDLE_PULSES: Final = 20
"""Without anything to watch, after which the thread ends."""

_KEEPALIVE_IDLE: Final = 10
_KEEPALIVE_INTERVAL: Final = 3
_KEEPALIVE_COUNT: Final = 3
_UNACKNOWLEDGED_MS: Final = 15_000


class Wire:
    """The socket below a driver's connection, apart from the driver: it can be cut while the driver waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)

    def keep_alive(self) -> None:
        """Have the system end the connection within about 20 seconds when the other side no longer acknowledges."""
        options = (
            (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
            (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _KEEPALIVE_IDLE),
            (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _KEEPALIVE_INTERVAL),
            (socket.IPPROTO_TCP, "TCP_KEEPCNT", _KEEPALIVE_COUNT),
            (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
        )
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as opened:
            if opened.family not in (socket.AF_INET, socket.AF_INET6):
                return
            for level, name, value in options:
                # Not every system has each of them.
                if (number := getattr(socket, name, None)) is not None:
                    opened.setsockopt(level, number, value)

    def cut(self) -> None:
        """End the connection: whoever waits on it gets the driver's error for a connection that is lost."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._descriptor)) as opened:
            opened.shutdown(socket.SHUT_RDWR)

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self._descriptor)


def wire_of(driver: Any) -> Wire | None:
    """The socket of a driver's connection; None where the driver does not show it, as mysqlclient."""
    for holder in (driver, getattr(driver, "_sock", None), getattr(driver, "_usock", None)):
        if callable(find := getattr(holder, "fileno", None)):
            try:
                return Wire(find())
            except Exception:
                return None
    return None


class ConnectionGuard:
    """Cuts connections that are in use for longer than `patience` seconds; None: never. Safe to use from any thread."""

    def __init__(self) -> None:
        self.patience: float | None = None
        self._asked: dict[object, float] = {}
        self.cut_at = float("-inf")
        """When, on the monotonic clock, one was cut last: the network may carry nothing of the older ones either."""
        self.reset()

    def ask(self, who: object, patience: float) -> None:
        """Wait no longer than this, until `release`: the shortest of what is asked for counts."""
        self._asked[who] = patience
        self.patience = min(self._asked.values())

    def hurry(self, who: object, patience: float) -> None:
        """Wait no longer than this, where `who` has asked for a longer time. For signal handlers too."""
        if who in self._asked:
            self.ask(who, min(self._asked[who], patience))

    def release(self, who: object) -> None:
        """The opposite of `ask`."""
        self._asked.pop(who, None)
        self.patience = min(self._asked.values(), default=None)

    def reset(self) -> None:
        """Forget everything: after a fork the thread and the connections belong to the parent."""
        self._lock = threading.Lock()
        self._used: dict[int, tuple[float, Wire]] = {}
        self._thread: threading.Thread | None = None

    def enter(self, key: int, wire: Wire) -> None:
        """The connection is in use from now on."""
        if self.patience is None:
            return
        self._used[key] = (time.monotonic(), wire)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._watch, name="hogbox-guard", daemon=True)
                    self._thread.start()

    def leave(self, key: int) -> None:
        """The connection is in use no longer."""
        self._used.pop(key, None)

    def _watch(self) -> None:
        idle = 0
        while idle < _IDLE_PULSES:
            time.sleep(_PULSE)
            idle = 0 if self._used else idle + 1
            self._cut_overdue(time.monotonic())
        with self._lock:
            self._thread = None
        # One that was entered meanwhile found this thread and started none; its next use starts one.

    def _cut_overdue(self, now: float) -> None:
        patience = self.patience
        for key, (since, wire) in list(self._used.items()):
            if patience is not None and now - since > patience:
                self.leave(key)
                # Before whoever waits on it can ask the pool for another one.
                self.cut_at = now
                wire.cut()
