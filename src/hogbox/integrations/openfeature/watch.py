"""Watch: what the definitions were when last seen, and which provider events follow from what they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable

from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError, OpenFeatureError

from hogbox import Flags
from hogbox.integrations.openfeature.resolution import trouble_with

Emit = Callable[[ProviderEvent, ProviderEventDetails], None]


class Watch:
    """Of one provider. Emits each change once, whichever thread sees it first.

    Arguments:
        emit: Tells OpenFeature.
        remote: Whether PostHog is asked for what can't be evaluated here: that works without definitions too.
    """

    def __init__(self, emit: Emit, *, remote: bool) -> None:
        self._emit = emit
        self._remote = remote
        self._known: Flags | None = None
        self._trouble: ErrorCode | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Forget what was known. Until definitions are seen the provider counts as not ready."""
        self._known, self._trouble = None, ErrorCode.PROVIDER_NOT_READY

    def accept(self, snapshot: Flags) -> None:
        """Note what the definitions are at first. Raises OpenFeatureError where no flag can be evaluated with them."""
        trouble = self._trouble_with(snapshot)
        self._trouble = None if trouble is None else trouble.error_code
        if trouble is not None:
            raise trouble
        self._known = snapshot if snapshot.readable else None

    def fail(self, error: Exception) -> None:
        """The definitions could not be looked at."""
        self._tell_trouble(GeneralError(f"flag definitions can't be looked at: {error}"))

    def see(self, snapshot: Flags, *, committed: bool) -> None:
        """Compare with what was known. `committed`: that it is what every new transaction sees.

        Others may look at an older state than the process knows; that is no change.
        """
        if snapshot.distinct_id is None:
            return  # nobody's flags say nothing of the definitions
        known = self._known
        if known is not None and snapshot.revision == known.revision and not self._trouble:
            return
        trouble = self._trouble_with(snapshot)
        if trouble is not None:
            self._tell_trouble(trouble)
            return
        self._recover()
        if snapshot.readable:
            self._compare(snapshot, committed)

    def _trouble_with(self, snapshot: Flags) -> OpenFeatureError | None:
        return None if self._remote else trouble_with(snapshot)

    def _tell_trouble(self, trouble: OpenFeatureError) -> None:
        with self._lock:
            told, self._trouble = self._trouble, trouble.error_code
        if told != trouble.error_code:
            details = ProviderEventDetails(message=trouble.error_message, error_code=trouble.error_code)
            self._emit(ProviderEvent.PROVIDER_ERROR, details)

    def _recover(self) -> None:
        with self._lock:
            told, self._trouble = self._trouble, None
        if told is not None:
            self._emit(ProviderEvent.PROVIDER_READY, ProviderEventDetails(message="flags can be evaluated"))

    def _compare(self, snapshot: Flags, committed: bool) -> None:
        with self._lock:
            known = self._known
            if known is not None and not committed and (snapshot.revision or 0) <= (known.revision or 0):
                return
            self._known = snapshot
        changed = () if known is None else snapshot.changed_since(known)
        if changed:
            details = ProviderEventDetails(flags_changed=list(changed), metadata={"revision": snapshot.revision or 0})
            self._emit(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, details)
