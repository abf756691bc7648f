"""What can be changed about the emulated PostHog while it runs, and the sizes it refuses to exceed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Resource = Literal["events", "exceptions", "surveys", "llm_events", "feature_flags"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The switches of `/_emulator/settings`."""

    known_tokens: tuple[str, ...] | None = None
    """Project keys that exist. None: any well-shaped key will do, as for PostHog by default."""

    quota: tuple[Resource, ...] = ()
    """Resources over their billing quota: their events get 200 and are not stored, and no flag is evaluated."""

    secret_keys: tuple[str, ...] | None = None
    """Keys that may read flag definitions. None: any that begins with `phs_` or `phx_`."""

    definitions_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 600
    """Requests for definitions per project before 429. Ten times as many that carry an `If-None-Match`."""

    cold_cache: bool = False
    """Whether PostHog's cache of definitions is cold: 503, as for a project that never had a flag."""

    failed_flags: tuple[str, ...] = ()
    """Flags that `/flags` fails to evaluate."""

    flag_errors: bool = False
    """Whether `/flags` says `errorsWhileComputingFlags` though no flag has failed."""

    clock_offset: float = 0.0
    """Seconds by which the server's clock is ahead of this machine's."""

    body_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Seconds that a client may pause within a body before it gets 408."""

    keep_bodies: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Bytes of each decompressed body to keep with its request. 0: none."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """PostHog's sizes in bytes, and how much the emulator keeps before it forgets the oldest."""

    wire: int = 20 * 1024 * 1024
    decompressed: int = 100 * 1024 * 1024
    message: int = 1_000_000
    kept_events: int = 200_000
    kept_requests: int = 100_000
    kept_body_bytes: int = 64 * 1024 * 1024
    kept_profile_bytes: int = 16 * 1024 * 1024
