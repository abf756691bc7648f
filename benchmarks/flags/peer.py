"""The peer: `posthog` from PyPI, its evaluator without its client's bookkeeping."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from posthog import Posthog
from posthog.feature_flags import InconclusiveMatchError, RequiresServerEvaluation


class Peer:
    """Evaluates a definitions document with `_compute_flag_locally`."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        logging.getLogger("posthog").setLevel(logging.CRITICAL)
        self._client = Posthog("phc_benchmark", sync_mode=True, send=False, enable_local_evaluation=False)
        self._client.feature_flags = definitions["flags"]
        self._client.group_type_mapping = definitions.get("group_type_mapping") or {}
        self._client.cohorts = definitions.get("cohorts") or {}
        self.flags = {flag["key"]: flag for flag in definitions["flags"]}
        self.compute = self._client._compute_flag_locally
        self.snapshot: Any = {
            **self._client._local_evaluation_snapshot(),
            "property_matching_version": definitions.get("property_matching_version", 1),
        }

    def evaluate(self, key: str, *, distinct_id: str, **call: Any) -> bool | str | None:
        """The flag's value; None where the peer is inconclusive."""
        properties = {"distinct_id": distinct_id, **(call.get("person_properties") or {})}
        groups = call.get("groups") or {}
        given = call.get("group_properties") or {}
        group_properties = {name: {"$group_key": groups[name], **(given.get(name) or {})} for name in groups}
        try:
            return self.compute(
                self.flags[key],
                distinct_id,
                groups=groups,
                person_properties=properties,
                group_properties=group_properties,
                device_id=call.get("device_id"),
                warn_on_unknown_groups=False,
                _definition_snapshot=self.snapshot,
            )
        except (InconclusiveMatchError, RequiresServerEvaluation):
            return None
