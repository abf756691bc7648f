"""Regular expressions in the dialect that means the same to PostHog and here (section 9.4)."""
