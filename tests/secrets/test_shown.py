"""P9: what shows itself shows no secret, wherever it is printed."""

from __future__ import annotations

from hogbox._settings.client import ClientSettings

URL = "postgresql://me:hunter2@127.0.0.1/app"


def test_p9_settings_show_neither_the_databases_password_nor_the_key() -> None:
    settings = ClientSettings.load(
        {"HOGBOX_DATABASE_URL": URL, "POSTHOG_PERSONAL_API_KEY": "phs_secret"}, token_needed=False
    )
    assert settings.database_url == URL
    for text in (repr(settings), str(settings)):
        assert "hunter2" not in text
        assert "phs_secret" not in text
