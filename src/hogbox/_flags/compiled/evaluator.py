"""Decides flags by functions that are written for them, and by the plain evaluator what these leave to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import CodeType

from hogbox._flags.compiled.batch import BatchEvaluator
from hogbox._flags.compiled.writer import CompilerInput, goes_without_person, write_fast_path
from hogbox._flags.evaluator import FastPath, PlainEvaluator
from hogbox._flags.person import EvaluatedPerson
from hogbox._flags.result import FlagResult


class CompiledEvaluator:
    """The same answers as the plain evaluator's. Threads may share it, as they may share that."""

    def __init__(self, plain: PlainEvaluator) -> None:
        self._plain = plain
        self._keys = plain.definitions.flags
        self._paths: dict[str, FastPath] = {}
        self._without_person: dict[str, FastPath] = {}
        self.fast_paths: Mapping[str, FastPath] = self._without_person
        self._codes: dict[str, CodeType] = {}
        self._batches: BatchEvaluator | None = None

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
            given = self._input(key)
            path = self._paths[key] = write_fast_path(given, self._codes)
            if goes_without_person(given.flag):
                self._without_person[key] = path
        return path

    def _input(self, key: str) -> CompilerInput:
        return CompilerInput(self._plain.flag(key), partial(self._plain.evaluate, key))
