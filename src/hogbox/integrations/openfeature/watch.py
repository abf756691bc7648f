"""Watch: compares the definitions with those seen last, and emits OpenFeature's provider events."""

from __future__ import annotations

import threading
from collections.abc import Callable

from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError, OpenFeatureError

from hogbox import Flags
from hogbox.integrations.openfeature.resolution import trouble_with

Emit = Callable[[ProviderEvent, ProviderEventDetails], None]


class Watch:
    """The watch of one provider. Emits each change once, from the first thread that sees it.

    Arguments:
        emit: Passes an event to OpenFeature.
        remote: Whether there is a remote fallback, which works without definitions too.
    """

    def __init__(self, emit: Emit, *, remote: bool) -> None:
        self._emit = emit
        self._remote = remote
        self._known: Flags | None = None
        self._trouble: ErrorCode | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Reset. The provider is not ready until definitions are seen."""
        self._known, self._trouble = None, ErrorCode.PROVIDER_NOT_READY

    def accept(self, snapshot: Flags) -> None:
        """Remember the first definitions. Raises OpenFeatureError if no flag can be evaluated with them."""
        trouble = self._trouble_with(snapshot)
        self._trouble = None if trouble is None else trouble.error_code
        if trouble is not None:
            raise trouble
        self._known = snapshot if snapshot.readable else None

    def fail(self, error: Exception) -> None:
        """Emit an error: the definitions could not be read."""
        self._emit_trouble(GeneralError(f"flag definitions can't be read: {error}"))

    def see(self, snapshot: Flags, *, committed: bool) -> None:
        """Compare with the definitions seen last. `committed`: the snapshot is from a new transaction.

        An older transaction may see an older state than the process knows, which is not a change.
        """
        if snapshot.distinct_id is None:
            return  # without a person, the snapshot has no definitions
        known = self._known
        if known is not None and snapshot.revision == known.revision and not self._trouble:
            return
        trouble = self._trouble_with(snapshot)
        if trouble is not None:
            self._emit_trouble(trouble)
            return
        self._recover()
        if snapshot.readable:
            self._compare(snapshot, committed)

    def _trouble_with(self, snapshot: Flags) -> OpenFeatureError | None:
        return None if self._remote else trouble_with(snapshot)

    def _emit_trouble(self, trouble: OpenFeatureError) -> None:
        with self._lock:
            before, self._trouble = self._trouble, trouble.error_code
        if before != trouble.error_code:
            details = ProviderEventDetails(message=trouble.error_message, error_code=trouble.error_code)
            self._emit(ProviderEvent.PROVIDER_ERROR, details)

    def _recover(self) -> None:
        with self._lock:
            before, self._trouble = self._trouble, None
        if before is not None:
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
