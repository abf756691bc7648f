"""PostHog's capture v1: `/i/v1/analytics/events` and, on deployments for AI events, `/i/v1/ai/events`."""
