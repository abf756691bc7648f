"""Setting: one row of the table of settings.

The row of a field is used for everything about the setting: the argument of a client, the environment variable,
Django's HOGBOX, the report of `hogbox status`, and the test of the reference page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from hogbox.errors import ConfigurationError

_ROW: Final = "setting"


@dataclass(frozen=True, slots=True)
class ValueType:
    """How values of a type are read from a variable, checked, and shown."""

    name: str
    """The name of the type on the reference page."""
    types: tuple[type, ...]
    """The types that an argument may have."""
    read: Callable[[str, str], Any]
    """Parses a text; the second argument is the variable, for the message of a ConfigurationError."""
    check: Callable[[str, Any], Any] = lambda _, value: value
    """The value, checked and normalized; the first argument names the setting. Raises ConfigurationError."""
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table. Without variables, the setting is an argument only."""

    name: str
    """The field's name."""
    kind: ValueType
    default: Any
    variables: tuple[str, ...]
    """The environment variables, the preferred one first."""
    argument: str
    """The client's argument, or the field's name where it has none."""

    def value(self, argument: Any, environment: Mapping[str, str]) -> Any:
        """The argument, else the variable's value, else the default, unchecked. Raises ConfigurationError."""
        # An empty text counts as not given, as for variables: deployments often pass unset values as empty ones.
        if argument is not None and argument != "":
            return argument
        variable = self.variable_in_use(environment)
        return self.default if variable is None else self.kind.read(environment[variable].strip(), variable)

    def check(self, value: Any, label: str) -> Any:
        """The value, checked and normalized. Raises ConfigurationError, with the label in its message."""
        # Defaults are valid by definition, including None, which the checks do not accept.
        return value if value == self.default else self.kind.check(label, value)

    def variable_in_use(self, environment: Mapping[str, str]) -> str | None:
        """The variable that is set, if any."""
        return next((name for name in self.variables if environment.get(name, "").strip()), None)


def setting(default: Any, kind: ValueType, *variables: str, argument: str = "", repr: bool = True) -> Any:  # noqa: A002
    """A field of a settings class, with its row."""
    return field(default=default, repr=repr, metadata={_ROW: (kind, variables, argument)})


def rows(settings: type) -> tuple[Setting, ...]:
    """The rows of a settings class, in the order of its fields."""
    found = []
    for one in fields(settings):
        kind, variables, argument = one.metadata[_ROW]
        found.append(Setting(one.name, kind, one.default, variables, argument or one.name))
    return tuple(found)


def read_all(settings: type, environment: Mapping[str, str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all fields, unchecked. Raises ConfigurationError for unknown arguments and unreadable variables."""
    table = {row.argument: row for row in rows(settings)}
    if unknown := set(arguments) - set(table):
        raise ConfigurationError(f"unknown setting {sorted(unknown)[0]!r}; the settings are {', '.join(sorted(table))}")
    return {row.name: row.value(arguments.get(argument), environment) for argument, row in table.items()}


def read_number(kind: type[int] | type[float]) -> Callable[[str, str], float]:
    """A parser of numbers of this type."""

    def read(text: str, variable: str) -> float:
        try:
            return kind(text)
        except ValueError:
            raise ConfigurationError(f"{variable}={text!r} is not a number") from None

    return read


def require_number(variable: str, value: float, *, zero: bool) -> float:
    """The value, if it is finite and above zero, or at least zero. Raises ConfigurationError otherwise."""
    if (value >= 0 if zero else value > 0) and value != float("inf"):
        return value
    wanted = "a number of at least 0" if zero else "a positive number"
    raise ConfigurationError(f"{variable} must be {wanted}, not {value!r}")


_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})


def is_true(text: str) -> bool:
    """Whether a text means yes."""
    return text.strip().lower() in _TRUE


def _read_boolean(text: str, variable: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return is_true(text)
    raise ConfigurationError(f"{variable}={text!r} is not a boolean: use 1 or 0")


def _positive(variable: str, value: float) -> float:
    return require_number(variable, value, zero=False)


def _not_negative(variable: str, value: float) -> float:
    return require_number(variable, value, zero=True)


def _short(value: float) -> str:
    return f"{value:g}"


def _names(label: str, given: Any) -> tuple[str, ...]:
    """Names of modules. Raises ConfigurationError for one text, whose letters would be taken for names."""
    if isinstance(given, list | tuple | set | frozenset) and all(isinstance(one, str) and one for one in given):
        return tuple(given)
    raise ConfigurationError(f"{label} must be a list of names of modules such as ['shop'], not {given!r}")


def _folder(label: str, given: Any) -> str:
    if isinstance(given, str | os.PathLike):
        return os.path.abspath(os.fsdecode(given))
    raise ConfigurationError(f"{label} must be the path of a directory, not {given!r}")


_whole, _real = read_number(int), read_number(float)

BOOLEAN: Final = ValueType("yes or no", (bool,), _read_boolean, show=lambda value: str(int(value)))
TEXT: Final = ValueType("text", (str,), lambda text, _: text)
POSITIVE: Final = ValueType("number", (int, float), _real, _positive, _short)
NOT_NEGATIVE: Final = ValueType("number", (int, float), _real, _not_negative, _short)
NAMES: Final = ValueType("names", (list, tuple), lambda text, _: tuple(text.split(",")), _names, ", ".join)
FOLDER: Final = ValueType("path", (str, os.PathLike), lambda text, _: text, _folder)
WHOLE: Final = ValueType("whole number", (int,), _whole, _not_negative)
POSITIVE_WHOLE: Final = ValueType("whole number", (int,), _whole, _positive)
