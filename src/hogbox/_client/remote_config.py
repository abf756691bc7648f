"""Remote config: the flow that finds the payload of a remote config flag, in the stored definitions or at PostHog."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from hogbox._client.effect import Ask, Flow
from hogbox._client.flag_cache import Sight
from hogbox._client.local_flags import KnownFlags
from hogbox._events.value import clean_text
from hogbox._http.response import NoReply
from hogbox._settings.client import ClientSettings
from hogbox._wire.flags import FlagsFailure
from hogbox._wire.host import shorten
from hogbox._wire.library import USER_AGENT
from hogbox._wire.remote_config import (
    ENCRYPTED,
    NO_KEY,
    RemoteConfig,
    read_remote_config,
    remote_config_request,
)
from hogbox.errors import RemoteEvaluationError
from hogbox.flags._result import decoded_copy, is_withheld
from hogbox.telemetry import ANSWERED, FlagsAsked, Telemetry


class RemoteConfigReader:
    """Reads payloads of one project. Safe to share between threads and across a fork."""

    def __init__(self, settings: ClientSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._project = shorten(settings.project_token)
        self._telemetry = telemetry

    def read(self, sight: Sight[KnownFlags], key: str) -> Flow[Any]:
        """The payload: what is stored if that is what PostHog would return, else what PostHog returns.

        Raises RemoteEvaluationError.
        """
        if (flags := sight.flags) is not None:
            payload, flag = flags.payload(key, True), flags.definitions.get(key, {})
            if sight.final or (flag.get("is_remote_configuration") is not False and (payload or _is_stored(flag))):
                return payload
        if self._settings.disabled:
            return None
        began = time.perf_counter()
        found = yield from self._ask(key)
        reason = found.reason if isinstance(found, FlagsFailure) else ANSWERED
        self._telemetry.emit(FlagsAsked(self._project, reason, time.perf_counter() - began))
        if isinstance(found, RemoteConfig):
            return decoded_copy(found.payload)
        raise RemoteEvaluationError(
            f"PostHog returned no payload of {key!r} in project {self._project}: {found.reason}: {found.detail}",
            reason=found.reason,
        )

    def _ask(self, key: str) -> Flow[RemoteConfig | FlagsFailure]:
        token, secret = self._settings.project_token, self._settings.definitions_key
        if secret is None:
            return FlagsFailure(
                NO_KEY,
                "it is not among the stored definitions, and PostHog is not asked without POSTHOG_PERSONAL_API_KEY",
            )
        try:
            status, body = yield Ask(remote_config_request(token, clean_text(key), secret, USER_AGENT))
        except NoReply as error:
            return FlagsFailure(error.reason, str(error))
        found = read_remote_config(status, body, hide=(token, secret.reveal()))
        if isinstance(found, RemoteConfig) and is_withheld(found.payload):
            return FlagsFailure(ENCRYPTED, "it is encrypted, and PostHog decrypts it for a personal key (phx_) only")
        return found


def _is_stored(flag: Mapping[str, Any]) -> bool:
    """Whether a stored definition has the payload itself, though that may be null. Flags with rules have none."""
    filters = flag.get("filters")
    payloads = filters.get("payloads") if isinstance(filters, Mapping) and filters.get("version", 1) == 1 else None
    payload = payloads.get("true") if isinstance(payloads, Mapping) else None
    return bool(payload) and flag.get("has_encrypted_payloads") is not True and not is_withheld(payload)
