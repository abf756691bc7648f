"""The name of a worker or poller in the tables."""

from __future__ import annotations

import os
import socket
import uuid


def process_name() -> str:
    """A unique name for one worker or refresher of this process: at most 64 ASCII characters."""
    host = socket.gethostname()[:20].encode("ascii", "replace").decode()
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
