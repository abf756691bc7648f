"""Pure: PostHog's HTTP. Requests out; replies to verdicts; how long to wait."""
