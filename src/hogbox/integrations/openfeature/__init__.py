"""OpenFeature: providers that evaluate flags with hogbox and write tracking events into the outbox.

api.set_provider(HogboxProvider(posthog))
client = api.get_client()
client.get_boolean_value("new-checkout", False, EvaluationContext("ada", {"plan": "pro"}))
"""

from __future__ import annotations

from hogbox.errors import MissingDependency

try:
    from hogbox.integrations.openfeature.async_provider import AsyncHogboxProvider
    from hogbox.integrations.openfeature.provider import HogboxProvider
except ModuleNotFoundError as error:
    raise MissingDependency(
        "hogbox.integrations.openfeature needs the OpenFeature SDK: pip install 'hogbox[openfeature]'"
    ) from error

__all__ = ["AsyncHogboxProvider", "HogboxProvider"]
