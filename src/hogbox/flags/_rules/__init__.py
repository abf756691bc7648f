"""Flags with rules (`filters.version` 2): their document as text, its parts, and the decision (rules v2)."""
