"""Decides flags by functions that are written for them, and by the plain evaluator what these leave to it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from functools import partial
from types import CodeType

from hogbox.flags._compiled.batch import BatchEvaluator
from hogbox.flags._compiled.writer import CompilerInput, fixed_path, goes_without_person, write_fast_path
from hogbox.flags._evaluator import FastPath, PlainEvaluator, unknown_flag
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._result import FlagResult


class CompiledEvaluator:
    """The same answers as the plain evaluator's. Threads may share it, as they may share that."""

    def __init__(self, plain: PlainEvaluator) -> None:
        self._plain = plain
        self._keys = plain.definitions.flags
        self._paths: dict[str, FastPath] = {}
        self._codes: dict[str, CodeType] = {}
        self._batches: BatchEvaluator | None = None
        self.fast_paths: Mapping[str, FastPath | None] = _FastPaths(self._path_without_person, self._keys)

    def evaluate(self, key: str, person: EvaluatedPerson) -> FlagResult:
        """What a flag is for a person; inconclusive where there is no such flag."""
        identifier = person.distinct
        if identifier is None or key not in self._keys:
            return self._plain.evaluate(key, person)
        return self._path(key)(person.properties, identifier, person.complete, person)

    def evaluate_all(self, person: EvaluatedPerson) -> dict[str, FlagResult]:
        """What every flag is, in the order of the document."""
        identifier = person.distinct
        if identifier is None:
            return self._plain.evaluate_all(person)
        if self._batches is None:
            self._batches = BatchEvaluator([self._input(key) for key in self._keys], self._path)
        return self._batches.evaluate(person.properties, identifier, person.complete, person)

    def _path(self, key: str) -> FastPath:
        path = self._paths.get(key)
        if path is None:
            path = self._paths[key] = write_fast_path(self._input(key), self._codes)
        return path

    def _path_without_person(self, key: str) -> FastPath | None:
        return self._path(key) if goes_without_person(self._plain.flag(key)) else None

    def _input(self, key: str) -> CompilerInput:
        return CompilerInput(self._plain.flag(key), partial(self._plain.evaluate, key))


class _FastPaths(dict[str, FastPath | None]):
    """Those that go without a person, each written when it is first looked up."""

    def __init__(self, path_of: Callable[[str], FastPath | None], keys: Container[str]) -> None:
        super().__init__()
        self._path_of = path_of
        self._keys = keys

    def __missing__(self, key: str) -> FastPath | None:
        # A key that no flag has is not remembered: anything may be asked for.
        if key not in self._keys:
            return fixed_path(unknown_flag(key))
        path = self[key] = self._path_of(key)
        return path
