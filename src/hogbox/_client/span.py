"""The ids of OpenTelemetry's current span, where the application uses OpenTelemetry (wire protocol 2.4).

OpenTelemetry is never imported here: an application that has not imported it has no span.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_LARGEST_TRACE: Final = 2**128
_LARGEST_SPAN: Final = 2**64


def span_properties() -> dict[str, Any]:
    """`$trace_id` and `$span_id`; empty without a valid span. Never raises."""
    module = sys.modules.get("opentelemetry.trace")
    if module is None:
        return {}
    try:
        context = module.get_current_span().get_span_context()
        trace, span = int(context.trace_id), int(context.span_id)
    except Exception:  # half imported, or a span of the application's own class
        return {}
    if not (0 < trace < _LARGEST_TRACE and 0 < span < _LARGEST_SPAN):
        return {}
    return {"$trace_id": f"{trace:032x}", "$span_id": f"{span:016x}"}
