"""Texts about flags for people: explanations of values, descriptions of flags, changes between revisions."""
