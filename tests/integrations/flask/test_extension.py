"""The extension in its usual forms, and the client that it makes from the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from hogbox import PostHog
from hogbox.errors import ConfigurationError
from hogbox.integrations.flask import Hogbox, current_posthog
from tests.fixtures.database import TestDatabase
from tests.integrations.flask.shop import TOKEN, dispose


def make_app(**config: Any) -> Flask:
    app = Flask("test")
    app.config.update({"POSTHOG_PROJECT_TOKEN": TOKEN, **config})
    return app


def capture(app: Flask, name: str) -> None:
    with app.app_context():
        current_posthog.capture(None, name, distinct_id="ada")
        current_posthog.shutdown()


def names(database: TestDatabase) -> list[str]:
    return [event["event"] for event in database.events()]


def test_a_factory(database: TestDatabase) -> None:
    hogbox = Hogbox()
    apps = [make_app(HOGBOX_DATABASE_URL=database.url) for _ in range(2)]
    for number, app in enumerate(apps):
        hogbox.init_app(app)
        capture(app, f"of application {number}")
    assert names(database) == ["of application 0", "of application 1"]
    assert apps[0].extensions["hogbox"] is not apps[1].extensions["hogbox"]


def test_a_client_of_the_applications(database: TestDatabase) -> None:
    posthog = PostHog(database.url, project_token=TOKEN)
    app = make_app()
    Hogbox(app, posthog)
    assert app.extensions["hogbox"] is posthog
    with app.app_context():
        assert isinstance(current_posthog, PostHog)
        assert current_posthog == posthog


def test_the_configuration(database: TestDatabase) -> None:
    app = make_app(
        HOGBOX_DATABASE_URL=database.url,
        POSTHOG_HOST="https://eu.i.posthog.com",
        POSTHOG_PERSONAL_API_KEY="phs_tests",
        HOGBOX_DISABLED=True,
    )
    Hogbox(app)
    assert "eu.i.posthog.com" in repr(app.extensions["hogbox"])
    capture(app, "discarded")
    assert app.extensions["hogbox"].discarded.disabled == 1


def test_the_environment(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOGBOX_DATABASE_URL", database.url)
    monkeypatch.setenv("POSTHOG_PROJECT_TOKEN", "phc_of_the_environment")
    app = Flask("test")
    use_database(app, "sqlite://")
    Hogbox(app)
    capture(app, "from the environment")
    assert names(database) == ["from the environment"]
    assert database.rows("posthog_outbox")[0]["project"] == "phc_of_the_environment"
    dispose(app)


def use_database(app: Flask, url: str) -> SQLAlchemy:
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    return SQLAlchemy(app)


def test_the_engine_of_flask_sqlalchemy(tmp_path: Path) -> None:
    app = Flask("test", instance_path=str(tmp_path))
    app.config["POSTHOG_PROJECT_TOKEN"] = TOKEN
    use_database(app, "sqlite:///shop.db")  # in the instance's folder, as Flask-SQLAlchemy reads it
    Hogbox(app)
    with app.app_context():
        current_posthog.create_tables()
        current_posthog.capture(None, "here", distinct_id="ada")
    assert (tmp_path / "shop.db").exists()
    dispose(app)


def test_a_database_in_memory_is_the_requests_alone() -> None:
    app = make_app()
    use_database(app, "sqlite://")
    Hogbox(app)
    with app.app_context(), pytest.raises(ConfigurationError, match="no database"):
        current_posthog.capture(None, "order placed", distinct_id="ada")
    dispose(app)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"POSTHOG_PROJECT_TOKEN": ""}, "POSTHOG_PROJECT_TOKEN"),
        ({"HOGBOX_DISABLED": "0"}, "HOGBOX_DISABLED"),
        ({"HOGBOX_TABLE_PREFIX": "no table"}, "table_prefix"),
    ],
)
def test_a_configuration_that_cannot_work(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Hogbox(make_app(**config))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"posthog": "phc_example"}, "PostHog"), ({"distinct_id": "ada"}, "function")],
)
def test_arguments_that_cannot_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Hogbox(**arguments)


def test_installed_twice() -> None:
    app = make_app()
    Hogbox(app)
    with pytest.raises(ConfigurationError, match="already"):
        Hogbox(app)


def test_not_installed() -> None:
    with make_app().app_context(), pytest.raises(ConfigurationError, match="not installed"):
        current_posthog.capture(None, "order placed")


def test_outside_of_an_application() -> None:
    with pytest.raises(RuntimeError, match="application context"):
        current_posthog.capture(None, "order placed")
