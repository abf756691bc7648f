"""The flag definitions that a database holds, for those who look: today's, and the revisions that are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore, read_projects
from hogbox._store.history import HistoryStore
from hogbox._wire.host import shorten
from hogbox.errors import ConfigurationError, DefinitionsUnparsable, UnknownRevision

Document = Mapping[str, Any]


class Numbered(NamedTuple):
    """A revision and its definitions, decoded."""

    number: int
    document: Document


class ProjectNotChosen(ConfigurationError):
    """It is not known which of several stored projects is meant."""


class StoredFlags:
    """The stored definitions of one project. Reads only."""

    def __init__(self, database: Database, project: str) -> None:
        """`project` is a token, the beginning of one, or "" where only one project's definitions are stored.

        Raises ProjectNotChosen where that names no stored project, or several; ConfigurationError where none is stored;
        TablesError, or what the database raises.
        """
        database.check()
        self.project = choose_project(project, read_projects(database))
        self._definitions = DefinitionStore(database, self.project)
        self._history = HistoryStore(database, self.project)

    def read(self) -> Numbered:
        """Today's definitions. Raises ConfigurationError where they were deleted meanwhile."""
        stored = self._definitions.read()
        if stored is None:
            raise ConfigurationError(_NOTHING)
        return Numbered(stored.revision, _decode(stored.data, stored.revision))

    def read_kept(self) -> list[int]:
        """The numbers of the revisions that are kept, the newest first; today's is one of them."""
        kept = [revision.number for revision in self._history.read_revisions()]
        return sorted({*kept, self._definitions.read_revision()} - {0}, reverse=True)

    def read_revision(self, number: int) -> Numbered:
        """One revision. Raises UnknownRevision where it is not kept."""
        text = self._history.read_text(number)
        if text is None:
            stored = self._definitions.read()
            text = stored.data if stored and stored.revision == number else None
        if text is None:
            raise UnknownRevision(f"revision {number} is not kept: there are {_numbers(self.read_kept())}")
        return Numbered(number, _decode(text, number))

    def read_history(self) -> list[Numbered]:
        """Every revision that is kept and can be read, the newest first."""
        found = []
        for number in self.read_kept():
            try:
                found.append(self.read_revision(number))
            except (DefinitionsUnparsable, UnknownRevision):
                break  # what is beyond a gap tells nothing of this side of it
        return found

    def choose_revisions(self, wanted: Sequence[int]) -> tuple[int, int]:
        """The two revisions to compare: those given, one and today's, or the last two.

        Raises UnknownRevision where fewer than two are kept.
        """
        kept = self.read_kept()
        if len(wanted) == 2:
            return wanted[0], wanted[1]
        if len(wanted) == 1:
            return wanted[0], kept[0]
        if len(kept) < 2:
            raise UnknownRevision(f"there is nothing to compare with: of this project only {_numbers(kept)} is kept")
        return kept[1], kept[0]


_NOTHING = (
    "no flag definitions are stored: run a worker with POSTHOG_PROJECT_TOKEN and POSTHOG_PERSONAL_API_KEY, or "
    "`hogbox refresh`"
)


def choose_project(given: str, stored: Sequence[str]) -> str:
    """The stored project that is meant by a token, by its beginning, or by nothing where there is only one."""
    if not stored:
        raise ConfigurationError(_NOTHING)
    if given in stored:
        return given
    meant = [token for token in stored if token.startswith(given)]
    listed = ", ".join(shorten(token) for token in stored)
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise ProjectNotChosen(f"no flag definitions of project {shorten(given)} are stored, only of {listed}")
    raise ProjectNotChosen(f"flag definitions of several projects are stored ({listed})")


def _decode(text: str, revision: int) -> Document:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DefinitionsUnparsable(f"revision {revision} of the flag definitions is not JSON: {error}") from error
    return document if isinstance(document, dict) else {}


def _numbers(kept: Sequence[int]) -> str:
    return ", ".join(map(str, kept)) or "none"
