"""What the emulator knows of people and groups: the properties that events have set, as PostHog stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from hogbox.emulator.record import ReceivedEvent

Key: TypeAlias = tuple[str, ...]

_MERGES = {"$identify": "$anon_distinct_id", "$create_alias": "alias", "$merge_dangerously": "alias"}
"""Events that make two distinct ids one person, and the property that names the other one."""

_encode = msgspec.json.Encoder().encode
_KEY_SIZE = 100  # about what a key costs beyond its text


class Profile(msgspec.Struct, eq=False):
    """One person, by whatever distinct ids, or one group. The sizes are about right, and in bytes."""

    keys: set[Key]
    keys_size: int
    properties: dict[str, Any] = {}
    size: int = 0


class Profiles:
    """The newest profiles that fit into `limit` bytes: those that changed longest ago are forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._by_key: dict[Key, Profile] = {}
        self._by_age: dict[int, Profile] = {}

    def __len__(self) -> int:
        return len(self._by_age)

    def person(self, token: str, distinct_id: str) -> Mapping[str, Any]:
        """What is known of a person."""
        return self._properties(("person", token, distinct_id))

    def group(self, token: str, kind: str, key: str) -> Mapping[str, Any]:
        """What is known of a group."""
        return self._properties(("group", token, kind, key))

    def learn(self, event: ReceivedEvent) -> None:
        """Applies an event's properties to its person, or to a group."""
        properties = event.properties
        if properties.get("$process_person_profile") is False or not event.person_processing:
            return
        if event.event == "$groupidentify":
            self._learn_group(event.token, properties)
        key = ("person", event.token, event.distinct_id)
        other = properties.get(_MERGES.get(event.event, ""))
        if isinstance(other, str) and other.strip() and other != event.distinct_id:
            self._merge(key, ("person", event.token, other))
        once = {**_object(properties.get("$set_once")), **_object(event.set_once)}
        now = {**_object(properties.get("$set")), **_object(event.set)}
        unset = properties.get("$unset")
        if once or now or unset:
            self._update(key, once, now, unset)

    def _learn_group(self, token: str, properties: Mapping[str, Any]) -> None:
        kind, key = properties.get("$group_type"), properties.get("$group_key")
        if isinstance(kind, str) and isinstance(key, str | int | float):
            self._update(("group", token, kind, str(key)), {}, _object(properties.get("$group_set")), None)

    def _update(self, key: Key, once: Mapping[str, Any], now: Mapping[str, Any], unset: object) -> None:
        profile = self._profile(key)
        profile.properties = {**once, **profile.properties, **now}
        if isinstance(unset, list):
            for name in unset:
                profile.properties.pop(str(name), None)
        self._settle(profile)

    def _merge(self, key: Key, other: Key) -> None:
        """Makes the two one person. Where both have a property, that of the first stays."""
        into, joining = self._profile(key), self._profile(other)
        if into is joining:
            return
        self._by_age.pop(id(joining), None)
        self._size -= joining.size
        self._by_key.update(dict.fromkeys(joining.keys, into))
        into.keys |= joining.keys
        into.keys_size += joining.keys_size
        into.properties = {**joining.properties, **into.properties}
        self._settle(into)

    def _properties(self, key: Key) -> Mapping[str, Any]:
        profile = self._by_key.get(key)
        return {} if profile is None else profile.properties

    def _profile(self, key: Key) -> Profile:
        """The profile of this key, which the caller settles if it is a new one."""
        profile = self._by_key.get(key)
        if profile is None:
            profile = self._by_key[key] = Profile({key}, _KEY_SIZE + sum(map(len, key)))
        return profile

    def _settle(self, profile: Profile) -> None:
        """Stores a profile as the newest one, and drops the oldest ones if there is no room."""
        size = profile.keys_size + len(_encode(profile.properties))
        self._size += size - profile.size
        profile.size = size
        self._by_age.pop(id(profile), None)
        self._by_age[id(profile)] = profile
        while self._size > self._limit:
            self._forget(next(iter(self._by_age.values())))

    def _forget(self, profile: Profile) -> None:
        del self._by_age[id(profile)]
        self._size -= profile.size
        for key in profile.keys:
            del self._by_key[key]


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
