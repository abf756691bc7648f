"""The golden cases of flag evaluation: 31,812 of them, kept compressed beside this module.

`python -m tests.flags.vectors` packs them again from the shared originals.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

PACKED = Path(__file__).with_name("vectors.json.xz")
SHARED = Path(__file__).parents[3] / "shared" / "vectors"

_CALL = ("distinct_id", "groups", "person_properties", "group_properties", "device_id")


@cache
def files() -> dict[str, Any]:
    """Each file's content by its name without the suffix."""
    content: dict[str, Any] = json.loads(lzma.decompress(PACKED.read_bytes()))
    return content


def originals() -> dict[str, Any]:
    """The same from the shared originals; empty where there are none."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(SHARED.glob("*.json"))}


def call_of(case: dict[str, Any]) -> dict[str, Any]:
    """A case's arguments for `evaluate`, beside the key."""
    return {name: case[name] for name in _CALL if name in case}


if __name__ == "__main__":
    packed = json.dumps(originals(), ensure_ascii=False, separators=(",", ":")).encode()
    PACKED.write_bytes(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME))
