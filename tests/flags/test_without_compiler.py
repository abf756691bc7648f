"""The compiler is for speed only: without its folder everything is decided as with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hogbox
from hogbox.flags import FlagSet
from hogbox.flags._compiled.evaluator import CompiledEvaluator
from hogbox.flags._evaluator import PlainEvaluator
from tests.flags.samples import document, flag

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def without_compiler(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that imports a copy of hogbox, from which the compiler is deleted."""
    place = tmp_path_factory.mktemp("without_compiler")
    shutil.copytree(Path(hogbox.__file__).parent, place / "hogbox", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(place / "hogbox" / "flags" / "_compiled")
    return {**os.environ, "PYTHONPATH": str(place)}


def _start(path: Path, environment: dict[str, str] | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.flags.answers", str(path)]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def test_flag_sets_are_compiled_as_a_rule() -> None:
    assert isinstance(FlagSet.parse({"flags": []})._evaluator, CompiledEvaluator)


def test_a_flag_set_without_a_compiler_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hogbox.flags._compiled.evaluator", None)
    flag_set = FlagSet.parse(document(flag("on")))
    assert isinstance(flag_set._evaluator, PlainEvaluator)
    assert flag_set.evaluate("on", distinct_id="u1", person_properties={}).value is True
    assert flag_set.evaluate_all(distinct_id="u1")["on"].value is True
    assert flag_set.evaluate("off", distinct_id="u1", person_properties={}).reason == "unknown_flag"


@pytest.mark.timeout(900)
def test_p7_deleting_the_compiler_changes_no_answer(without_compiler: dict[str, str], tmp_path: Path) -> None:
    paths = [tmp_path / "compiled.json", tmp_path / "plain.json"]
    processes = [_start(path, environment) for path, environment in zip(paths, (None, without_compiler), strict=True)]
    assert [process.wait() for process in processes] == [0, 0]
    compiled, plain = [json.loads(path.read_text()) for path in paths]
    assert (compiled["compiled"], plain["compiled"]) == (True, False)
    assert len(plain["answers"]) > 2 * 31_812
    different = [pair for pair in zip(compiled["answers"], plain["answers"], strict=True) if pair[0] != pair[1]]
    assert not different, f"{len(different)} differ, the first: {different[0]}"


_NIGHTLY = pytest.mark.nightly(reason="that the answers are the same, all of them, is compared above")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "names",
    [
        ["test_difference"],
        pytest.param(["test_vectors", "test_explanation", "test_flag_set", "test_definition"], marks=_NIGHTLY),
    ],
    ids=" ".join,
)
def test_tests_of_flags_pass_without_the_compiler(names: list[str], without_compiler: dict[str, str]) -> None:
    files = [f"tests/flags/{name}.py" for name in names]
    command = [sys.executable, "-m", "pytest", *files, "-q", "-p", "no:cacheprovider", "-n", "0"]
    run = subprocess.run(command, cwd=ROOT, env=without_compiler, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
