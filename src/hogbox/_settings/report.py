"""The settings in force and their sources: an argument, the environment, or the default. Never shows a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hogbox._settings.client import ClientSettings
from hogbox._settings.delivery import DeliverySettings
from hogbox._settings.polling import POLLING_VARIABLE, SWITCH_VARIABLE, polling_interval
from hogbox._settings.setting import rows

_ENCRYPTION_KEYS: Final = "HOGBOX_ENCRYPTION_KEYS"


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """One setting: its variable, its value for people, and its source."""

    name: str
    value: str
    source: str


def settings_in_force(
    settings: ClientSettings,
    delivery: DeliverySettings,
    environment: Mapping[str, str],
    arguments: Mapping[str, str | None],
) -> tuple[SettingInForce, ...]:
    """Every setting that has a variable. `arguments` are those of the command, by the names of the fields."""
    return (
        *_of(settings, environment, arguments),
        *_of_environment(environment),
        *_of(delivery, environment, arguments),
    )


def _of(
    settings: ClientSettings | DeliverySettings, environment: Mapping[str, str], arguments: Mapping[str, str | None]
) -> Iterator[SettingInForce]:
    for row in rows(type(settings)):
        if row.variables:
            given = arguments.get(row.name)
            used = None if given else row.variable_in_use(environment)
            source = "argument" if given else "environment" if used else "default"
            yield SettingInForce(used or row.variables[0], row.kind.show(getattr(settings, row.name)), source)


def _of_environment(environment: Mapping[str, str]) -> Iterator[SettingInForce]:
    """The variables that are read from the environment only, at each use."""
    values = {
        _ENCRYPTION_KEYS: "set" if environment.get(_ENCRYPTION_KEYS, "").strip() else "not set",
        POLLING_VARIABLE: str(polling_interval(environment)[0]),
        SWITCH_VARIABLE: environment.get(SWITCH_VARIABLE, "").strip() or "not set",
    }
    for name, value in values.items():
        yield SettingInForce(name, value, "environment" if environment.get(name, "").strip() else "default")
