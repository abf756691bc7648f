"""Watch: compares the definitions with those seen last, and emits OpenFeature's provider events."""

from __future__ import annotations

import threading
from collections.abc import Callable

from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, GeneralError, OpenFeatureError

from hogbox._client.flag_change import changes_between
from hogbox._client.flag_watch import Outcome
from hogbox._client.local_flags import FlagState
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
        self._known: FlagState | None = None
        self._trouble: ErrorCode | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Reset. The provider is not ready until definitions are seen."""
        self._known, self._trouble = None, ErrorCode.PROVIDER_NOT_READY

    def accept(self, outcome: Outcome) -> None:
        """Remember the first definitions. Raises OpenFeatureError if no flag can be evaluated with them.

        Raises the error of a look that failed.
        """
        if isinstance(outcome, Exception):
            raise outcome
        state = FlagState.of(outcome)
        trouble = self._trouble_with(state)
        self._trouble = None if trouble is None else trouble.error_code
        if trouble is not None:
            raise trouble
        self._known = None if state.flags is None else state

    def hear(self, outcome: Outcome) -> None:
        """Compare what a look has found, or emit an error."""
        if isinstance(outcome, Exception):
            self._emit_trouble(GeneralError(f"flag definitions can't be read: {outcome}"))
        else:
            self.see(FlagState.of(outcome), committed=True)

    def see(self, state: FlagState, *, committed: bool) -> None:
        """Compare with the definitions seen last. `committed`: the state is from a new transaction.

        An older transaction may see an older state than the process knows, which is not a change.
        """
        known = self._known
        if known is not None and state.revision == known.revision and not self._trouble:
            return
        trouble = self._trouble_with(state)
        if trouble is not None:
            self._emit_trouble(trouble)
            return
        self._recover()
        if state.flags is not None:
            self._compare(state, committed)

    def _trouble_with(self, state: FlagState) -> OpenFeatureError | None:
        return None if self._remote else trouble_with(state)

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

    def _compare(self, state: FlagState, committed: bool) -> None:
        with self._lock:
            known = self._known
            if known is not None and not committed and (state.revision or 0) <= (known.revision or 0):
                return
            self._known = state
        changes = None if known is None else changes_between(known, state)
        if changes is not None:
            details = ProviderEventDetails(
                flags_changed=list(changes.keys), metadata={"revision": changes.new_revision or 0}
            )
            self._emit(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, details)
