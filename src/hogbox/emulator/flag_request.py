"""What is asked of `/flags`: read as leniently as PostHog reads it, in every spelling that it knows."""

from __future__ import annotations

import base64
import json
import math
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from hogbox.emulator.answer import Request
from hogbox.emulator.document import too_deep
from hogbox.emulator.flag_answer import undecodable
from hogbox.emulator.payload import gunzip
from hogbox.emulator.setting import Limits

_LONGEST_DISTINCT_ID = 200
_FORM = "application/x-www-form-urlencoded"
_SPELLINGS = {
    "token": ("token", "api_key", "$token"),
    "distinct_id": ("distinct_id", "$distinct_id"),
    "groups": ("groups", "$groups"),
    "person_properties": ("person_properties", "$properties"),
    "group_properties": ("group_properties", "$group_properties"),
    "device_id": ("device_id", "$device_id"),
    "flag_keys": ("flag_keys", "flag_keys_to_evaluate"),
    "contexts": ("evaluation_contexts", "evaluation_environments"),
    "runtime": ("evaluation_runtime",),
    "disable_flags": ("disable_flags",),
    "geoip_disable": ("geoip_disable",),
}


class FlagRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for flags. None: not given."""

    token: str | None = None
    distinct_id: str | int | float | None = None
    groups: dict[str, Any] | None = None
    person_properties: dict[str, Any] | None = None
    group_properties: dict[str, dict[str, Any]] | None = None
    device_id: str | None = None
    flag_keys: list[str] | None = None
    contexts: list[str] | None = None
    runtime: str | None = None
    disable_flags: bool | None = None
    geoip_disable: bool | None = None

    @property
    def person(self) -> str | None:
        """The distinct id as PostHog looks it up."""
        if self.distinct_id is None:
            return None
        text = self.distinct_id if isinstance(self.distinct_id, str) else json.dumps(self.distinct_id)
        return text[:_LONGEST_DISTINCT_ID]


def read_text(request: Request, query: Mapping[str, str], limits: Limits) -> str:
    """The body, unpacked; raises `Refusal` where PostHog cannot."""
    content_type = request.headers.get("content-type", "application/json").split(";")[0].strip()
    compression = query.get("compression", "").lower()
    if compression not in ("", "gzip", "gzip-js", "base64"):
        raise undecodable("Unsupported compression type")
    if content_type == _FORM:
        return _read_form(request.body, compression)
    if content_type not in ("application/json", "text/plain"):
        raise undecodable(f"unsupported content type: {request.headers['content-type']}")
    encoding = request.headers.get("content-encoding", "")
    data = request.body
    if compression.startswith("gzip") or "gzip" in encoding or data.startswith(b"\x1f\x8b"):
        data = gunzip(data, limits.decompressed, lambda why: undecodable(f"gzip decompression failed: {why}"))
    return data.decode(errors="replace")


def read_flag_request(text: str) -> FlagRequest:
    """The request that a text holds as JSON, or as JSON in base64; raises `Refusal` for anything else."""
    for unwrap in (str, _unwrap):
        try:
            return msgspec.convert(_respell(_parse(unwrap(text))), FlagRequest)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors too
            continue
    raise undecodable("invalid JSON")


def _read_form(body: bytes, compression: str) -> str:
    if compression.startswith("gzip"):
        raise undecodable("Gzip compression not supported for form-urlencoded data")
    try:
        text = unquote(body.decode(), errors="strict")
    except UnicodeDecodeError:
        raise undecodable("Invalid UTF-8 in form data") from None
    unwrapped = _unwrap(text.removeprefix("data="))
    if not unwrapped:
        raise undecodable("Base64 decoding error")
    return unwrapped


def _unwrap(text: str) -> str:
    """The decoded base64, with any padding; empty if it is invalid."""
    text = unquote(text).replace(" ", "").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode(errors="replace")
    except (Base64Error, ValueError):
        return ""


def _parse(text: str) -> dict[str, Any]:
    """Parses JSON; NaN and infinities become null."""
    if too_deep(text.encode(errors="replace")):
        raise ValueError("too deep")
    document = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _respell(document: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by their first names, of which a request may use one."""
    fields = {}
    for name, spellings in _SPELLINGS.items():
        given = [spelling for spelling in spellings if spelling in document]
        if len(given) > 1:
            raise ValueError(f"duplicate field `{name}`")
        if given:
            fields[name] = document[given[0]]
    return fields
