"""PostHog's feature flags, evaluated here; `hogbox.flags` is the public face.

A `flag_set` has an `evaluator`, which asks a `flag` for a decision: its conditions are examined, and each asks its
filters, which compare a property by one of the `operators`. `compiled` does the same faster; `words` are for people.
"""
