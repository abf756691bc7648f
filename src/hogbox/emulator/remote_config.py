"""Remote config: the payload of one flag, decrypted for personal keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hogbox.emulator.answer import JSON, EmulatorResponse, Outcome, Request
from hogbox.emulator.definition import Definitions
from hogbox.emulator.flag_answer import (
    NO_SUCH_FLAG,
    NO_SUCH_PROJECT,
    RATE_LIMITED,
    UNKNOWN_PROJECT,
    is_known,
    other_methods,
)
from hogbox.emulator.flag_detail import ENCRYPTED
from hogbox.emulator.payload import parse_query
from hogbox.emulator.polling import Admit, bearer, credential_fault
from hogbox.emulator.setting import Settings

_PATH = re.compile(r"/api/projects/([^/]+)/feature_flags/([^/]+)/remote_config")
_OTHER_METHODS = other_methods("GET, OPTIONS, HEAD")


def is_remote_config(path: str) -> bool:
    """Whether a path asks for remote config."""
    return _PATH.fullmatch(path.removesuffix("/")) is not None


def remote_config(request: Request, settings: Settings, definitions: Definitions | None, admit: Admit) -> Outcome:
    """The payload of a flag, or why the client does not get it."""
    if request.method != "GET":
        return Outcome(answer=_OTHER_METHODS.get(request.method, _OTHER_METHODS[""]))
    match = _PATH.fullmatch(request.path.removesuffix("/"))
    project, key = match.groups() if match else ("", "")
    token = parse_query(request.query).get("token")
    if token is None and not (project.isascii() and project.isdigit()):
        return Outcome(answer=NO_SUCH_PROJECT)
    if token is not None and not is_known(token, settings):
        return Outcome(answer=UNKNOWN_PROJECT)
    secret = bearer(request.headers)
    refusal = credential_fault(request.headers, settings)
    personal = not secret.startswith("phs_")
    if refusal is None and personal:
        admitted = admit(("remote_config", secret), settings.remote_config_per_minute, request.arrived_at)
        refusal = None if admitted else RATE_LIMITED
    return Outcome(answer=refusal or _serve(find_flag(definitions, key), personal), token=token)


def find_flag(definitions: Definitions | None, key: str) -> Mapping[str, Any] | None:
    """The flag with this key, or with this number."""
    flags = {} if definitions is None else definitions.flags
    found = flags.get(key) or next((flag for flag in flags.values() if str(flag.get("id")) == key), None)
    return None if found is None or found.get("deleted") is True else found


def _serve(flag: Mapping[str, Any] | None, personal: bool) -> EmulatorResponse:
    if flag is None or flag.get("is_remote_configuration") is False:
        return NO_SUCH_FLAG
    filters = flag.get("filters")
    payloads = filters.get("payloads") if isinstance(filters, Mapping) else None
    payload = payloads.get("true") if isinstance(payloads, Mapping) else None
    if not payload:
        return EmulatorResponse(200, b"", JSON)
    if flag.get("has_encrypted_payloads") is True and not personal:
        payload = ENCRYPTED
    return EmulatorResponse(200, json.dumps(payload, ensure_ascii=False).encode(), JSON)
