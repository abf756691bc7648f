"""Flag methods: what a synchronous application calls to read flags. `PostHog` has them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from hogbox._client.argument import GivenPerson
from hogbox._client.exposure import Exposure
from hogbox._client.flag_reader import FlagReader, FlagValues, StoredFlagDefinitions, asking_of
from hogbox._client.runner import Runner
from hogbox._client.snapshot import Flags, two_valued
from hogbox.flags import FlagResult
from hogbox.flags._person import Person


class FlagMethods:
    """Reads flags in the caller's transactions, from the stored definitions or from PostHog.

    All take these arguments besides their own:

        ctx: The caller's transaction, or None; local reads see the definitions that it sees.
        distinct_id: Whose flags; the `identify` callback's answer wins over it.
        groups: Group types and keys, such as `{"company": "c-19"}`, for flags that go by group.
        person_properties: What conditions compare. A property that is not passed is unknown.
        group_properties: The same by group type, `{"company": {"seats": 12}}`.
        device_id: For flags that go by device.
        properties_complete: That all properties are passed: one that is not is not set. Default: the client's.

    Local reads make no request, and query at most once a `definitions_max_age`. Where what was passed does not decide
    a flag it is inconclusive, and they give the `default`; with `fallback="remote"` PostHog is asked then, and the
    default is given where it does not answer either. Where no definitions are stored (one warning in the log), and in
    a request context that names nobody, every flag is inconclusive. They raise MissingDistinctId outside of a context,
    InvalidPerson, UnsupportedHandle, TablesError, or what the database raises.

    Remote reads ask PostHog at once, and raise RemoteEvaluationError where it does not say.
    """

    _reader: FlagReader
    _runner: Runner
    _plain: bool
    """Whether nothing but its arguments decides a read: no `identify` callback, and no tracking."""

    def _identified(self, ctx: Any) -> str | int | UUID | None:
        raise NotImplementedError

    def get_feature_flag(
        self,
        ctx: Any,
        key: str,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        default: Any = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
        track_exposures: bool | str | None = None,
    ) -> Any:
        """True, False or the key of a variant; the default where the flag is inconclusive or unknown.

        With `track_exposures` (default: the client's) a `$feature_flag_called` is captured in the same transaction,
        once per person, flag, answer and groups in the whole fleet.
        """
        # Compared with None: the caller's mappings may be of any class, and answer a question of truth with an error.
        alone = groups is None and group_properties is None and device_id is None and fallback is None
        if self._plain and alone and not track_exposures:
            result = self._reader.read_plain(ctx, key, distinct_id, person_properties, properties_complete)
            if result is not None:
                value = result.value
                return value if value is True or value is False else self._reader.old_view(result, default)
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = self._person(ctx, given)
        result = self._runner.run(
            self._reader.read(ctx, key, person, asking_of(fallback, disable_geoip), track_exposures)
        )
        return two_valued(result, default)

    def is_feature_enabled(
        self,
        ctx: Any,
        key: str,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        default: bool | None = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
        track_exposures: bool | str | None = None,
    ) -> bool | None:
        """Whether the flag is on, in whatever variant; the default where it is inconclusive or unknown.

        `track_exposures` is that of `get_feature_flag`.
        """
        value = self.get_feature_flag(
            ctx,
            key,
            distinct_id=distinct_id,
            groups=groups,
            person_properties=person_properties,
            group_properties=group_properties,
            device_id=device_id,
            properties_complete=properties_complete,
            default=default,
            fallback=fallback,
            disable_geoip=disable_geoip,
            track_exposures=track_exposures,
        )
        return value if value is None else value is not False

    def get_feature_flag_result(
        self,
        ctx: Any,
        key: str,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
        track_exposures: bool | str | None = None,
    ) -> FlagResult | None:
        """The flag's `key`, `value`, `enabled`, `variant`, `payload`, `reason`; None where it is inconclusive.

        `track_exposures` is that of `get_feature_flag`.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = self._person(ctx, given)
        result = self._runner.run(
            self._reader.read(ctx, key, person, asking_of(fallback, disable_geoip), track_exposures)
        )
        return None if result is None or not result.conclusive else result

    def get_feature_flag_payload(
        self,
        ctx: Any,
        key: str,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        match_value: bool | str | None = None,
        default: Any = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
    ) -> Any:
        """The payload of the flag's value, decoded; the default where there is none, or the flag is inconclusive.

        With `match_value` it is the payload that the flag has for that value, whoever asks: no distinct id is needed.
        Never an exposure.
        """
        if match_value is not None:
            self._require_handle(ctx)
            payload = self._runner.run(self._reader.look_up_payload(ctx, key, match_value, fallback))
            return default if payload is None else payload
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = self._person(ctx, given)
        result = self._runner.run(self._reader.read(ctx, key, person, asking_of(fallback, disable_geoip), track=False))
        payload = None if result is None else result.payload
        return default if payload is None else payload

    def get_remote_config_payload(self, ctx: Any, key: str, *, default: Any = None) -> Any:
        """The payload of a remote config flag, decoded; the default if it has none.

        It is read from the stored definitions if they contain it. PostHog is asked, with the client's
        `personal_api_key`, for a flag that they don't contain, such as one with an encrypted payload, which PostHog
        decrypts for a personal key only. Raises RemoteEvaluationError if PostHog does not return it.
        """
        self._require_handle(ctx)
        payload = self._runner.run(self._reader.remote_config(ctx, key))
        return default if payload is None else payload

    def get_all_flags(
        self,
        ctx: Any,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        flag_keys: Iterable[str] | None = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
    ) -> dict[str, bool | str]:
        """The values of all flags, or of these keys; flags without a value are left out. Never an exposure."""
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = self._person(ctx, given)
        return self._runner.run(self._reader.read_all(ctx, person, flag_keys, asking_of(fallback, disable_geoip))).flags

    def get_all_flags_and_payloads(
        self,
        ctx: Any,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        flag_keys: Iterable[str] | None = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
    ) -> FlagValues:
        """`flags` and `payloads` of all flags, or of those with these keys, and whether they are `complete`.

        Flags without a value are left out. Never an exposure.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = self._person(ctx, given)
        return self._runner.run(self._reader.read_all(ctx, person, flag_keys, asking_of(fallback, disable_geoip)))

    def flags(
        self,
        ctx: Any,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        flag_keys: Iterable[str] | None = None,
        fallback: str | None = None,
        disable_geoip: bool | None = None,
        track_exposures: bool | str | None = None,
    ) -> Flags:
        """A snapshot of one person's flags: evaluated as they are asked for, and the same for as long as it is held.

        Pass it to `capture(..., flags=snapshot)` to tell an event what the person had. Exposures are captured as
        its values are read, in the transaction that it was taken in; taking it is none.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        tracking = self._reader.tracking(track_exposures)
        person = self._person(ctx, given)
        view = self._runner.run(self._reader.view(ctx, person, flag_keys, asking_of(fallback, disable_geoip)))
        return Flags(view, None if self._reader.disabled else partial(self._note, ctx), tracking)

    def evaluate_flag(
        self,
        ctx: Any,
        key: str,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        default: Any = None,
        flag_keys: Iterable[str] | None = None,
        disable_geoip: bool | None = None,
        track_exposures: bool | str | None = None,
    ) -> Any:
        """What PostHog says of a flag now: True, False or a variant's key; the default where it knows no such flag.

        Raises RemoteEvaluationError where PostHog can't be asked or can't say. The request is made inside of the
        caller's transaction, and takes up to a few seconds. `track_exposures` is that of `get_feature_flag`.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id)
        person = self._person(ctx, given)
        flag = self._runner.run(self._reader.ask(ctx, key, person, track_exposures, flag_keys, disable_geoip))
        return two_valued(flag, default)

    def evaluate_flag_payload(
        self,
        ctx: Any,
        key: str,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        default: Any = None,
        flag_keys: Iterable[str] | None = None,
        disable_geoip: bool | None = None,
    ) -> Any:
        """The payload of the value that PostHog gives a flag now; the default where there is none.

        Never an exposure. Raises RemoteEvaluationError where PostHog can't be asked or can't say.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id)
        person = self._person(ctx, given)
        flag = self._runner.run(self._reader.ask(ctx, key, person, False, flag_keys, disable_geoip))
        payload = None if flag is None else flag.payload
        return default if payload is None else payload

    def evaluate_all_flags(
        self,
        ctx: Any,
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        flag_keys: Iterable[str] | None = None,
        disable_geoip: bool | None = None,
    ) -> FlagValues:
        """What PostHog says of all flags now, or of these keys: `flags`, `payloads`, and whether `complete`.

        Flags without a value are left out. Raises RemoteEvaluationError where PostHog can't be asked.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id)
        person = self._person(ctx, given)
        return self._runner.run(self._reader.ask_all(person, flag_keys, disable_geoip))

    def get_flag_definitions(self, ctx: Any) -> StoredFlagDefinitions:
        """The stored flag definitions: `data`, `fetched_at`, `etag`, `revision`, `configured`.

        The last is whether this client could refresh them. They are read as the transaction sees them.
        """
        self._require_handle(ctx)
        return self._runner.run(self._reader.definitions(ctx))

    def _require_handle(self, ctx: Any) -> None:
        raise NotImplementedError

    def _note(self, ctx: Any, exposure: Exposure) -> None:
        self._runner.run(self._reader.note(ctx, exposure))

    def _person(self, ctx: Any, given: GivenPerson) -> Person | None:
        return given.read(self._identified(ctx), self._reader.usual.properties_complete)
