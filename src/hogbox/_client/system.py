"""The properties of every event that describe the system: operating system and Python (wire protocol 2.4)."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import Any, Final

_NAMES: Final = {"Darwin": "Mac OS X"}


def system_properties() -> dict[str, Any]:
    """`$os`, its version and distribution, and the running Python; unknown values are left out."""
    system = platform.system()
    found = {
        "$os": _NAMES.get(system, system),
        "$os_version": platform.mac_ver()[0] if system == "Darwin" else platform.release(),
        "$os_distro": _distribution() if system == "Linux" else "",
        "$python_runtime": platform.python_implementation(),
        "$python_version": ".".join(map(str, sys.version_info[:3])),
    }
    return {name: value for name, value in found.items() if value}


def release_properties(environment: Mapping[str, str]) -> dict[str, Any]:
    """`$release_id`, which links events to a release that `posthog-cli` made known; empty without one."""
    release = environment.get("POSTHOG_RELEASE_ID", "").strip()
    return {"$release_id": release} if release else {}


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""
