"""From the bytes on the wire to JSON text: query, form or body, base64, gzip, UTF-8, within the limits."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from hogbox.emulator.answer import NO_PAYLOAD, Refusal, Request, too_large, undecodable
from hogbox.emulator.compression import GZIP, BrokenData, DataTooLarge, inflate
from hogbox.emulator.setting import Limits

_GZIP_MAGIC = b"\x1f\x8b\x08"
_FORM = "application/x-www-form-urlencoded"
_FORM_FIELD = re.compile(rb"(?:^|&)(?:data|_|ip|compression)=")
_BASE64 = re.compile(rb"[A-Za-z0-9+/=]+")
_LOOKED_AT = 128
_OLDER_PATHS = ("/e", "/e/", "/capture", "/track", "/engage")
_COMPRESSIONS = {
    "gzip": "gzip",
    "gzip-js": "gzip",
    "lz64": "lz64",
    "lz-string": "lz64",
    "base64": "base64",
    "b64": "base64",
}


def parse_query(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True)) if query else {}


def read_payload(request: Request, query: Mapping[str, str], limits: Limits) -> str:
    """The JSON text of a capture request; raises `Refusal` where PostHog would refuse."""
    data = query["data"].encode() if query.get("data") else request.body
    if not data:
        raise Refusal(400, NO_PAYLOAD)
    if len(data) > limits.wire:
        raise too_large(f"request body exceeds {limits.wire} bytes")
    if not _FORM_FIELD.search(data[:_LOOKED_AT]):
        data = _unwrap_base64(data)
    form: dict[str, str] = {}
    if request.headers.get("content-type") == _FORM:
        form = _read_form(data)
        data = form["data"].encode() if "data" in form else data
    text = _decompress(data, _compression(query, form, request.headers), limits.decompressed)
    if request.path.startswith(_OLDER_PATHS[2:]) or request.path in _OLDER_PATHS:
        text = _unwrap_text(text)
    return text


def _read_form(data: bytes) -> dict[str, str]:
    if not _FORM_FIELD.search(data[:_LOOKED_AT]):
        raise undecodable("expected form data in POST request payload")
    try:
        form = dict(parse_qsl(data.decode(), keep_blank_values=True))
    except UnicodeDecodeError:
        raise undecodable("invalid urlencoded form data") from None
    unspaced = form.get("data", "").replace(" ", "+")
    if looks_like_base64(unspaced.encode()):
        form["data"] = unspaced
    return form


def _compression(query: Mapping[str, str], form: Mapping[str, str], headers: Mapping[str, str]) -> str | None:
    for hint in (query.get("compression"), form.get("compression")):
        if hint is not None and (known := _COMPRESSIONS.get(hint.lower())):
            return known
    return _COMPRESSIONS.get(headers.get("content-encoding", ""))


def _decompress(data: bytes, compression: str | None, limit: int) -> str:
    if compression == "gzip" or data.startswith(_GZIP_MAGIC):
        return _text(gunzip(data, limit, undecodable), "invalid gzip data")
    if compression == "lz64":
        raise undecodable("the emulator does not unpack lz64; send gzip or plain JSON")
    return _text(data, "invalid UTF8 in request payload")


def gunzip(data: bytes, limit: int, broken: Callable[[str], Refusal]) -> bytes:
    """Unpacks gzip; raises `Refusal` for broken or too large data."""
    try:
        return inflate(data, GZIP, limit)
    except DataTooLarge:
        raise too_large(f"Decompressed payload would exceed {limit} bytes") from None
    except BrokenData:
        raise broken("invalid GZIP data") from None


def _text(data: bytes, why: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise undecodable(why) from None


def looks_like_base64(data: bytes) -> bool:
    return bool(data) and len(data) % 4 == 0 and _BASE64.fullmatch(data[:_LOOKED_AT]) is not None


def _unwrap_base64(data: bytes) -> bytes:
    if not looks_like_base64(data):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        return data


def _unwrap_text(text: str) -> str:
    data = text.encode()
    try:
        return _unwrap_base64(data).decode()
    except UnicodeDecodeError:
        return text
