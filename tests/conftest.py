"""What all tests share. Fixtures are in small plugin files by subject, under `fixtures/`."""

pytest_plugins = [
    "pytester",
    "tests.fixtures.requirement",
    "tests.fixtures.database",
    "tests.fixtures.posthog_server",
    "tests.fixtures.process",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.definitions_server",
]
