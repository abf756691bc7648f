"""What an event says of its machine (wire protocol 2.4), and how a process is named in the tables."""

from __future__ import annotations

import os
import platform
import socket
import sys
import uuid
from typing import Any, Final

_NAMES: Final = {"Darwin": "Mac OS X"}


def process_name() -> str:
    """A name for one worker or refresher of this process, at most 64 characters of ASCII, that no other one has."""
    host = socket.gethostname()[:20].encode("ascii", "replace").decode()
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def machine_properties() -> dict[str, Any]:
    """`$os`, its version and distribution, and the Python that runs; what is unknown is left out."""
    system = platform.system()
    found = {
        "$os": _NAMES.get(system, system),
        "$os_version": platform.mac_ver()[0] if system == "Darwin" else platform.release(),
        "$os_distro": _distribution() if system == "Linux" else "",
        "$python_runtime": platform.python_implementation(),
        "$python_version": ".".join(map(str, sys.version_info[:3])),
    }
    return {name: value for name, value in found.items() if value}


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""
