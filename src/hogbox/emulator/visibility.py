"""The flags that a request can see: those that it names, and those for its runtime, client or server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hogbox.emulator.flag_request import FlagRequest

Flag = Mapping[str, Any]

_BROWSERS = ("Mozilla/", "Chrome/", "Safari/", "Firefox/", "Edge/")
_SERVERS = tuple(f"posthog-{name}/" for name in ("python", "ruby", "php", "java", "go", "node", "dotnet", "elixir"))
_SERVER_TOOLS = ("python-requests/", "curl/")
_DEVICES = tuple(f"posthog-{name}/" for name in ("android", "ios", "react-native", "flutter"))
_BROWSER_HEADERS = ("origin", "referer", "sec-fetch-mode", "sec-fetch-site")
_CONTEXTS = ("evaluation_contexts", "evaluation_environments", "evaluation_tags")
_RUNTIMES = ("client", "server")


def visible(flags: Mapping[str, Flag], asked: FlagRequest, headers: Mapping[str, str]) -> list[str]:
    """The keys of the flags to answer with, in their order: inactive ones and those for others are left out."""
    runtime = runtime_of(headers) if asked.runtime is None else _known_runtime(asked.runtime)
    named = None if asked.flag_keys is None else with_dependencies(asked.flag_keys, flags)
    return [
        key
        for key, flag in flags.items()
        if (named is None or key in named)
        and flag.get("active")
        and flag.get("deleted") is not True
        and _runs_in(flag, runtime)
        and _belongs_to(flag, asked.contexts)
    ]


def with_dependencies(keys: Iterable[str], flags: Mapping[str, Flag]) -> set[str]:
    """The keys, and those of the flags that they depend on, however far."""
    found: set[str] = set()
    pending = [key for key in keys if key in flags]
    while pending:
        key = pending.pop()
        if key not in found:
            found.add(key)
            pending.extend(other for other in depends_on(flags[key]) if other in flags)
    return found


def runtime_of(headers: Mapping[str, str]) -> str | None:
    """The runtime that PostHog assumes for a request: "client", "server", or None if it is unknown.

    A flag for one of the two is not shown to a request that it cannot place.
    """
    agent = headers.get("user-agent", "")
    if any(name in agent for name in _BROWSERS):
        return "client"
    if agent.startswith(_SERVERS) or any(name in agent for name in _SERVER_TOOLS):
        return "server"
    from_device = agent.startswith(_DEVICES) or any(name in headers for name in _BROWSER_HEADERS)
    return "client" if from_device else None


def _known_runtime(text: str) -> str:
    return text.lower() if text.lower() in _RUNTIMES else "all"


def _runs_in(flag: Flag, runtime: str | None) -> bool:
    own = flag.get("evaluation_runtime")
    return runtime == "all" or not isinstance(own, str) or _known_runtime(own) in ("all", runtime)


def _belongs_to(flag: Flag, contexts: Collection[str] | None) -> bool:
    own = next((flag[name] for name in _CONTEXTS if flag.get(name)), None)
    if not own or not contexts or not isinstance(own, list):
        return True
    if flag.get("evaluation_contexts_match_mode") == "all":
        return all(context in contexts for context in own)
    return any(context in own for context in contexts)


def depends_on(flag: Flag) -> Iterator[str]:
    """The keys of the flags in a flag's conditions; none for an invalid flag."""
    filters = flag.get("filters")
    for condition in _objects(filters, "groups"):
        for item in _objects(condition, "properties"):
            if item.get("type") == "flag" and isinstance(item.get("key"), str):
                yield item["key"]


def _objects(holder: object, name: str) -> Iterator[Flag]:
    items = holder.get(name) if isinstance(holder, Mapping) else None
    return (item for item in items if isinstance(item, Mapping)) if isinstance(items, list) else iter(())
