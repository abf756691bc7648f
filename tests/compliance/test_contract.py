"""PostHog's own contract for SDKs, from `shared/vectors/harness` where that is beside the checkout.

The assertions are the contract's; how this runs them is in `contract.py`. What hogbox does otherwise is listed below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.compliance.adapter import Adapter
from tests.compliance.contract import FOLDER, Case, Run, cases
from tests.compliance.mock import MockServer
from tests.compliance.sdk import MODES, Variant

pytestmark = [
    pytest.mark.skipif(not FOLDER.exists(), reason="PostHog's contract is not beside the checkout"),
    pytest.mark.nightly(reason="the contract's own waits are minutes in all"),
]

DIFFERS: Final[dict[int, str]] = {
    13: "the mock's text is not PostHog's, and a proxy's 400 is no reason to give an event up",
    32: "the mock's text is not PostHog's, and a proxy's 413 is no reason to give an event up",
    95: "a request that PostHog cannot read is not its events' fault: they wait, and status says why",
    99: "a content type that is refused is not the events' fault: they wait, and status says why",
    138: "hogbox asks v=4, which every server answers (wire protocol 6.7)",
}
"""Numbers of tests that hogbox does not pass, with the reason."""

ONLY_V0: Final = {133: "the test accepts the path of v0 alone; later versions of the harness take that of v1 too"}

_CASES: Final = list(cases()) if FOLDER.exists() else []
_VARIANTS: Final = [
    *(Variant(mode, protocol) for mode in MODES for protocol in ("v0", "v1")),
    *(Variant("deliver", "v1", compression) for compression in ("deflate", "br", "zstd")),
]


def _wanted(case: Case, variant: Variant) -> bool:
    """Whether the harness would run the test; the suites of one encoding run only the tests of that encoding."""
    if not case.needs <= Adapter(variant).capabilities:
        return False
    return variant.compression == "gzip" or f"encoding_{variant.compression}" in case.needs


def _pairs() -> Iterator[Any]:
    for variant in _VARIANTS:
        for case in _CASES:
            if _wanted(case, variant):
                name = f"{case.number:03}-{case.name}-{variant.protocol}-{variant.mode}-{variant.compression}"
                yield pytest.param(case, variant, id=name)


@pytest.fixture
def mock() -> Iterator[MockServer]:
    with MockServer() as mock:
        yield mock


@pytest.mark.parametrize(("case", "variant"), list(_pairs()))
def test_hogbox_passes_the_contract(case: Case, variant: Variant, mock: MockServer) -> None:
    adapter = Adapter(variant)
    try:
        known = DIFFERS if variant.protocol == "v0" else {**DIFFERS, **ONLY_V0}
        if reason := known.get(case.number):
            with pytest.raises(AssertionError):
                Run(adapter, mock).steps(case)
            pytest.xfail(reason)
        Run(adapter, mock).steps(case)
    finally:
        adapter.close()


def test_the_contract_has_the_numbers_that_the_specification_gives() -> None:
    assert max(case.number for case in _CASES) == 153
    assert len({case.number for case in _CASES}) == len(_CASES)
