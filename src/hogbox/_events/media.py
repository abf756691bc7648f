"""Media and long texts in what a model was given and what it answered.

Media is recognised by its place and its form, whatever the provider: a data URL anywhere, and base64 under the keys
that providers use for it. Only Python's own containers are read: other objects get their JSON form first.
"""

from __future__ import annotations

import re
from typing import Any, Final

from hogbox._events.value import MAX_DEPTH, MAX_VALUES

CUT_TO: Final = 5000
"""The characters that are kept of a text that is cut."""

_CUT_MARK: Final = "... [truncated]"
_LONGEST_MIME: Final = 200
_BASE64_BEGINS: Final = ";base64,"
_SHORTEST: Final = 200
"""The length from which a text of base64 characters is media: an id or a word may look like base64 too."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]++={0,2}")
_URL_KEYS: Final = frozenset(("image_url", "imageUrl", "video_url", "videoUrl"))
_DATA_KEYS: Final = _URL_KEYS | {
    *("data", "audio", "audio_data", "audioData"),
    *("inline_data", "inlineData", "file_data", "fileData"),
}
_FORMAT_KEYS: Final = ("mime_type", "mimeType", "media_type", "mediaType", "format")
_FORMATS: Final = {
    "audio": frozenset(["audio", "wav", "mp3", "pcm16", "pcm", "flac", "opus", "aac", "ogg", "m4a"]),
    "video": frozenset(["video", "mp4", "mov", "webm", "avi", "mkv"]),
    "image": frozenset(["image", "png", "jpg", "jpeg", "gif", "webp", "bmp", "svg"]),
}


class ContentReader:
    """Copies content with its media replaced by a placeholder, and texts that are longer than `most` cut.

    `characters` is the length of all texts that were kept.
    """

    def __init__(self, most: int | None = None) -> None:
        self.characters = 0
        self._most = most
        self._values = 0
        self._open: set[int] = set()
        self._copies: dict[tuple[Any, ...], Any] = {}

    def read(self, value: Any, key: str) -> Any:
        """The copy of a property's value. What can't be copied here, such as a list in itself, is left as it is."""
        return self._value(value, key, {}, "", 0)

    def _value(self, node: Any, key: str, parent: dict[Any, Any], parent_key: str, depth: int) -> Any:
        kind = type(node)
        if kind is str:
            return self._text(node, key, parent, parent_key)
        if kind is bytes or kind is bytearray:
            return _placeholder(_format_beside(parent))
        if (kind is not dict and kind is not list and kind is not tuple) or depth > MAX_DEPTH or id(node) in self._open:
            return node
        # An object that is referred to many times is copied once for each place that decides about its texts.
        place = (id(node), key) if kind is dict else (id(node), key, id(parent), parent_key)
        if place not in self._copies:
            if self._values >= MAX_VALUES:
                return node
            self._values += 1
            self._open.add(id(node))
            self._copies[place] = self._copy(node, key, parent, parent_key, depth + 1)
            self._open.discard(id(node))
        return self._copies[place]

    def _copy(self, node: Any, key: str, parent: dict[Any, Any], parent_key: str, depth: int) -> Any:
        if type(node) is dict:
            return {
                name: self._value(value, name if type(name) is str else "", node, key, depth)
                for name, value in node.items()
            }
        return [self._value(value, key, parent, parent_key, depth) for value in node]

    def _text(self, text: str, key: str, parent: dict[Any, Any], parent_key: str) -> str:
        if (media := _media_format(text, key, parent, parent_key)) is not None:
            return _placeholder(media)
        if self._most is not None and len(text) > self._most:
            text = text[: self._most] + _CUT_MARK
        self.characters += len(text)
        return text


def _media_format(text: str, key: str, parent: dict[Any, Any], parent_key: str) -> str | None:
    """The format of the media that a text is, which may be unknown and empty; None for other texts."""
    if text.startswith("data:") and (end := text.find(_BASE64_BEGINS, 0, _LONGEST_MIME)) > 0:
        return text[len("data:") : end].partition(";")[0]
    if len(text) < _SHORTEST or not _holds_media(key, parent, parent_key) or not _BASE64.fullmatch(text):
        return None
    return _format_beside(parent)


def _holds_media(key: str, parent: dict[Any, Any], parent_key: str) -> bool:
    if key in _DATA_KEYS or (key == "url" and parent_key in _URL_KEYS):
        return True
    # Tools have results too, which are texts.
    return key == "result" and parent.get("type") == "image_generation_call"


def _format_beside(parent: dict[Any, Any]) -> str:
    """What an object says of the media in it."""
    for name in _FORMAT_KEYS:
        if type(value := parent.get(name)) is str:
            return value
    kind = parent.get("type")
    return kind if type(kind) is str and kind in _FORMATS else ""


def _placeholder(media: str) -> str:
    return f"[base64 {_word(media.lower()) if media else 'image'} redacted]"


def _word(media: str) -> str:
    family, slash, _ = media.partition("/")
    for word, names in _FORMATS.items():
        if (family == word) if slash else (media in names):
            return word
    return "file"
