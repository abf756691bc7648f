"""The hash, and that comparing its bytes is comparing the service's doubles."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hogbox.flags._bucket import EVERYBODY, NOBODY, Rollout, Variants, bound_of, digest, fraction
from tests.flags import vectors

_BUCKETS = 2**60


def _hash_of(bucket: int) -> bytes:
    """A digest whose first 60 bits are this number; what follows does not matter."""
    return ((bucket << 4) + 7).to_bytes(8, "big") + b"\x5a" * 12


def test_p7_the_hash_is_the_services() -> None:
    for text, digits, unit in vectors.files()["bucketing"]["hashes"]:
        hashed = digest(text.encode())
        assert hashed.hex()[:15] == digits
        assert repr(fraction(hashed)) == str(unit)


@given(st.floats(-0.5, 1.5), st.integers(0, _BUCKETS - 1), st.integers(-300, 300), st.booleans())
@example(1.0, _BUCKETS - 1, 0, True)
@example(1.0, _BUCKETS - 1, 0, False)
@example(0.0, 0, 0, True)
@example(0.0, 0, 0, False)
def test_p7_the_bytes_below_a_bound_are_the_fractions_within_the_limit(
    limit: float, anywhere: int, nearby: int, inclusive: bool
) -> None:
    bound = bound_of(limit, inclusive=inclusive)
    near = min(max(int(limit * _BUCKETS) + nearby, 0), _BUCKETS - 1)
    for bucket in (anywhere, near):
        hashed = _hash_of(bucket)
        unit = fraction(hashed)
        assert (hashed < bound) is (unit <= limit if inclusive else unit < limit)


def test_everybody_and_nobody_need_no_hash() -> None:
    assert EVERYBODY > b"\xff" * 20
    assert not NOBODY > b""
    assert [Rollout.of(percentage).bound for percentage in (None, 100, 101, 0, -1)] == [EVERYBODY] * 3 + [NOBODY] * 2


@pytest.mark.parametrize(
    ("weights", "possible"),
    [
        ([("a", 50.0), ("b", 50.0)], ("a", "b")),
        ([("a", 50.0), ("b", 0.0)], ("a", True)),
        ([], (True,)),
    ],
)
def test_an_unknown_identifier_could_get_any_variant_with_a_weight(
    weights: list[tuple[str, float]], possible: tuple[object, ...]
) -> None:
    assert Variants.of(weights).possible == possible
