"""The names of the events that deployments for AI events take."""

from __future__ import annotations

AI_EVENTS = frozenset(
    (
        "$ai_generation",
        "$ai_embedding",
        "$ai_span",
        "$ai_trace",
        "$ai_metric",
        "$ai_feedback",
        "$ai_evaluation",
        "$ai_tag",
        "$ai_trace_summary",
        "$ai_generation_summary",
        "$ai_trace_clusters",
        "$ai_generation_clusters",
    )
)
