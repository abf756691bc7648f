"""The plugin in the pytest of an application, found by its entry point as users have it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

import hogbox.testing
from tests.fixtures.database import SharedDatabases

RunTests = Callable[..., pytest.RunResult]

APPLICATION = """
    import os

    from hogbox import AsyncPostHog, PostHog

    URL = os.environ["APPLICATION_DATABASE_URL"]
    posthog = PostHog(project_token="phc_example")
    async_posthog = AsyncPostHog(project_token="phc_example")

    def place_order(session, customer):
        if posthog.is_feature_enabled(session, "closed", distinct_id=customer):
            raise ValueError("the shop is closed")
        posthog.capture(session, "order placed", distinct_id=customer)
        session.commit()

    async def place_order_later(session, customer):
        if await async_posthog.is_feature_enabled(session, "closed", distinct_id=customer):
            raise ValueError("the shop is closed")
        await async_posthog.capture(session, "order placed", distinct_id=customer)
"""


@pytest.fixture
def run_tests(pytester: pytest.Pytester, emptied: SharedDatabases, monkeypatch: pytest.MonkeyPatch) -> RunTests:
    """Runs the tests of the application, in their order, on a PostgreSQL, with warnings as errors."""
    monkeypatch.setenv("APPLICATION_DATABASE_URL", emptied("postgresql").url)
    pytester.makepyfile(application=APPLICATION)

    def run(test_module: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_application=test_module)
        return pytester.runpytest_subprocess("-q", "-W", "error", "-p", "no:randomly", *options)

    return run


def test_an_application_whose_tests_are_rolled_back(run_tests: RunTests) -> None:
    """The code under test commits; that its events are seen, and gone with the test, is what users want."""
    result = run_tests(
        """
        import pytest
        from sqlalchemy import create_engine
        from sqlalchemy.orm import Session

        from application import URL, place_order

        @pytest.fixture(scope="module")
        def engine():
            engine = create_engine(URL)
            yield engine
            engine.dispose()

        @pytest.fixture
        def session(engine):
            with engine.connect() as connection:
                transaction = connection.begin()
                with Session(connection, join_transaction_mode="create_savepoint") as session:
                    yield session
                transaction.rollback()

        @pytest.mark.parametrize("customer", ["ada", "grace"])
        def test_an_order(session, captured_events, posthog_flags, customer):
            posthog_flags.set("closed", False)
            place_order(session, customer)
            assert captured_events.only(session).distinct_id == customer

        def test_a_closed_shop(session, captured_events, posthog_flags):
            posthog_flags.set("closed", True)
            with pytest.raises(ValueError, match="closed"):
                place_order(session, "ada")
            assert captured_events(session) == []

        def test_nothing_is_left(engine, captured_events):
            assert captured_events(engine) == []
        """
    )
    result.assert_outcomes(passed=4)


def test_an_asynchronous_application(run_tests: RunTests) -> None:
    result = run_tests(
        """
        import pytest
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        from application import URL, place_order_later

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        async def session(anyio_backend):
            engine = create_async_engine(URL)
            async with AsyncSession(engine) as session:
                yield session
            await engine.dispose()

        @pytest.mark.anyio
        @pytest.mark.parametrize("customer", ["ada", "grace"])
        async def test_an_order(session, async_captured_events, posthog_flags, customer):
            posthog_flags({"closed": False})
            await place_order_later(session, customer)
            event = await async_captured_events.only(session, event="order placed")
            assert event.distinct_id == customer

        @pytest.mark.anyio
        async def test_a_closed_shop(session, async_captured_events, posthog_flags):
            posthog_flags.set("closed", True, distinct_id="ada")
            with pytest.raises(ValueError, match="closed"):
                await place_order_later(session, "ada")
            assert await async_captured_events(session) == []
        """
    )
    result.assert_outcomes(passed=3)


def test_flags_end_with_the_test_and_the_emulator_too(run_tests: RunTests) -> None:
    result = run_tests(
        """
        import pytest

        from application import posthog
        from hogbox import PostHog
        from hogbox.errors import UsageError

        seen = []

        def test_one(posthog_flags, posthog_emulator):
            posthog_flags.set("closed", True)
            assert posthog.get_all_flags(None, distinct_id="ada") == {"closed": True}
            with PostHog(project_token="phc_example", host=posthog_emulator.url) as client:
                client.evaluate_flag(None, "other", distinct_id="ada")
            assert len(posthog_emulator.requests()) == 1
            seen.append(posthog_emulator)

        def test_two(posthog_emulator):
            assert posthog_emulator.requests() == []
            with pytest.raises(UsageError, match="not running"):
                seen[0].requests()
            with pytest.raises(UsageError, match="no database"):
                posthog.get_all_flags(None, distinct_id="ada")
        """
    )
    result.assert_outcomes(passed=2)


def test_what_a_failing_test_shows(run_tests: RunTests) -> None:
    result = run_tests(
        """
        from sqlalchemy import create_engine

        from application import URL, posthog

        def test_orders(captured_events):
            engine = create_engine(URL)
            with engine.connect() as connection:
                posthog.capture(connection, "order placed", distinct_id="ada", properties={"cents": 5})
                posthog.capture(connection, "order placed", distinct_id="ada", properties={"cents": 7})
                try:
                    captured_events.only(connection, event="order placed")
                finally:
                    connection.close()
                    engine.dispose()
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: expected one event 'order placed', and there are 2:",
            "E*CapturedEvent('order placed', 'ada', {'cents': 5})",
            "E*CapturedEvent('order placed', 'ada', {'cents': 7})",
        ]
    )
    result.stdout.no_fnmatch_line("*captured.py*")


def test_a_prefix_of_the_applications(run_tests: RunTests) -> None:
    result = run_tests(
        """
        import pytest

        from hogbox import PostHog

        class TestFromTheEnvironment:
            @pytest.fixture(autouse=True)
            def set(self, monkeypatch):
                monkeypatch.setenv("HOGBOX_TABLE_PREFIX", "hog_")

            def test_it(self, tmp_path, captured_events):
                check(tmp_path, captured_events, None)

        class TestOverridden:
            @pytest.fixture
            def posthog_table_prefix(self):
                return "hog_"

            def test_it(self, tmp_path, captured_events):
                check(tmp_path, captured_events, "hog_")

        def check(folder, captured_events, prefix):
            with PostHog(f"sqlite:///{folder}/app.db", project_token="phc_example", table_prefix=prefix) as posthog:
                posthog.create_tables()
                posthog.capture(None, "order placed", distinct_id="ada")
                assert captured_events.only(f"sqlite:///{folder}/app.db").event == "order placed"
        """
    )
    result.assert_outcomes(passed=2)


def test_without_the_emulators_packages_its_fixture_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import sys; sys.modules['uvicorn'] = None")
    pytester.makepyfile(
        """
        def test_emulator(posthog_emulator): ...

        def test_others(posthog_flags, captured_events, async_captured_events): ...
        """
    )
    result = pytester.runpytest_subprocess("-q", "-W", "error")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["E*MissingDependency: posthog_emulator needs*uvicorn*pip install 'hogbox?testing?'"])


def test_the_plugin_imports_nothing_until_a_fixture_is_used() -> None:
    code = "import sys, json, hogbox.testing.plugin; print(json.dumps(sorted(sys.modules)))"
    names = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert {name for name in names if name.partition(".")[0] == "hogbox"} == {
        "hogbox",
        "hogbox.testing",
        "hogbox.testing.plugin",
    }
    assert {"sqlalchemy", "starlette", "httpx2", "msgspec"}.isdisjoint(names)


def test_pytest_does_not_mind_an_installed_hogbox_that_was_imported_before(pytester: pytest.Pytester) -> None:
    installed = pytester.mkdir("installed") / "hogbox-0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: hogbox\nVersion: 0\n")
    (installed / "entry_points.txt").write_text("[pytest11]\nhogbox = hogbox.testing.plugin\n")
    (installed / "RECORD").write_text("hogbox/__init__.py,,\nhogbox/testing/plugin.py,,\n")
    pytester.makepyfile("def test_flags(posthog_flags): ...")
    code = "import sys; sys.path.insert(0, 'installed'); import hogbox, pytest; sys.exit(pytest.main(['-W', 'error']))"
    result = pytester.run(sys.executable, "-c", code)
    result.assert_outcomes(passed=1)


def test_the_types_of_the_fixtures_are_public() -> None:
    names = ["AsyncCapturedEvents", "CapturedEvent", "CapturedEvents", "DeadLetter", "FlagOverrides"]
    assert sorted(hogbox.testing.__all__) == dir(hogbox.testing) == names
    assert [getattr(hogbox.testing, name).__name__ for name in names] == names
    with pytest.raises(AttributeError, match="no attribute 'Flags'"):
        hogbox.testing.Flags  # noqa: B018
