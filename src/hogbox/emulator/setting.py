"""The settings of the emulated PostHog, which can be changed while it runs, and its limits."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Resource = Literal["events", "exceptions", "surveys", "llm_events", "feature_flags"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The switches of `/_emulator/settings`."""

    known_tokens: tuple[str, ...] | None = None
    """Valid project tokens. None: any well-formed token is accepted, as PostHog's capture does by default."""

    quota: tuple[Resource, ...] = ()
    """Resources over their billing quota: their events are dropped, and no flag is evaluated.

    Capture v0 responds 200; v1 responds `drop` for each event, and 402 if no other is left.
    """

    secret_keys: tuple[str, ...] | None = None
    """Keys that may read flag definitions. None: any that begins with `phs_` or `phx_`."""

    definitions_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 600
    """Requests for definitions per project and minute before a 429; ten times as many with `If-None-Match`."""

    capture_v1: bool = True
    """Whether the server has capture v1. An older or self-hosted one responds 404."""

    ai_lane: bool = True
    """Whether the server has endpoints for AI events. One without responds 404."""

    cold_cache: bool = False
    """Whether PostHog's cache of definitions is cold: it responds 503, as for a project that never had a flag."""

    mixed_feed: bool = True
    """Whether `v=2` includes rules flags in the definitions. An older server ignores it."""

    remote_config_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 600
    """Requests for remote config per personal key and minute before a 429."""

    typed_records: bool = True
    """Whether `/flags` responds with typed records to `v=3` and above; if not, as to `v=2`."""

    flags_rate_limit: Literal["off", "warn", "enforce"] = "off"
    """Whether `/flags` warns of its rate limits, and refuses requests beyond them with 429."""

    flags_burst: Annotated[int, msgspec.Meta(ge=1)] = 625
    """Requests for flags per project at once; 10 more per second. For a client's address twice as many, and 50."""

    failed_flags: tuple[str, ...] = ()
    """Flags that `/flags` fails to evaluate."""

    flag_errors: bool = False
    """Whether `/flags` returns `errorsWhileComputingFlags` although no flag has failed."""

    clock_offset: float = 0.0
    """Seconds by which the server's clock is ahead of this machine's."""

    body_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Seconds that a client may pause within a body before it gets 408."""

    keep_bodies: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Bytes of each decompressed body to keep with its request. 0: none."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """PostHog's limits in bytes, and how much the emulator keeps before it drops the oldest."""

    wire: int = 20 * 1024 * 1024
    decompressed: int = 100 * 1024 * 1024
    v1_wire: int = 10 * 1024 * 1024
    v1_decompressed: int = 50 * 1024 * 1024
    ai_event: int = 8 * 1024 * 1024
    message: int = 1_000_000
    kept_events: int = 200_000
    kept_requests: int = 100_000
    kept_body_bytes: int = 64 * 1024 * 1024
    kept_profile_bytes: int = 16 * 1024 * 1024
