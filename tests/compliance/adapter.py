"""The adapter that PostHog's SDK test harness drives: an HTTP service around hogbox (wire protocol 10.0).

python -m tests.compliance.adapter --port 8080 --mode thread --protocol v1 --compression gzip
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, get_args

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hogbox import __version__
from tests.compliance.sdk import Mode, Sdk, Start, Variant

_STARTS: Final = {one.name for one in fields(Start)}


class Adapter:
    """The adapter's endpoints, as calls: a path and its JSON in, JSON out."""

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._sdk: Sdk | None = None
        self._calls: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "/health": self._health,
            "/init": self._init,
            "/capture": self._capture,
            "/capture_ai": self._capture_ai,
            "/get_feature_flag": self._get_feature_flag,
            "/reload_feature_flag_definitions": self._reload,
            "/flush": self._flush,
            "/state": lambda _: self._need().state(),
            "/reset": self._reset,
        }

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._calls)

    def __call__(self, path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self._calls[path](arguments)

    def close(self) -> None:
        if self._sdk is not None:
            self._sdk.close()
        self._sdk = None

    @property
    def capabilities(self) -> frozenset[str]:
        variant = self._variant
        return frozenset({f"capture_{variant.protocol}", "capture_ai_v0", f"encoding_{variant.compression}"})

    def _health(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "sdk_name": "hogbox",
            "sdk_version": __version__,
            "adapter_version": "1.0",
            "supports_parallel": False,
            "capabilities": sorted(self.capabilities),
        }

    def _init(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.close()
        start = Start(**{name: value for name, value in arguments.items() if name in _STARTS and value is not None})
        self._sdk = Sdk(start, self._variant)
        return {"success": True}

    def _capture(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"success": True, "uuid": self._need().capture(**arguments)}

    def _capture_ai(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"success": True, "uuid": self._need().capture_ai(**arguments)}

    def _get_feature_flag(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in arguments.items() if name != "force_remote"}
        if given.pop("only_evaluate_locally", False):
            return self._need().local_flag(**given)
        return {"success": True, "value": self._need().get_feature_flag(**given)}

    def _reload(self, _: Mapping[str, Any]) -> dict[str, Any]:
        loaded = self._need().reload()
        return {"success": loaded, "ready": loaded}

    def _flush(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"success": True, "events_flushed": self._need().flush()}

    def _reset(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.close()
        return {"success": True}

    def _need(self) -> Sdk:
        assert self._sdk is not None, "the harness calls /init first"
        return self._sdk


def application(adapter: Adapter) -> Starlette:
    """The adapter as an ASGI application."""

    async def answer(request: Request) -> JSONResponse:
        raw = await request.body()
        return JSONResponse(await run_in_threadpool(adapter, request.url.path, json.loads(raw) if raw else {}))

    return Starlette(routes=[Route(path, answer, methods=["GET", "POST"]) for path in adapter.paths])


def main() -> None:
    """Serve the adapter until interrupted."""
    parser = argparse.ArgumentParser(description="hogbox behind PostHog's SDK test harness")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--mode", choices=get_args(Mode), default="thread")
    parser.add_argument("--protocol", choices=("v0", "v1"), default="v0")
    parser.add_argument("--compression", choices=("gzip", "deflate", "br", "zstd"), default="gzip")
    given = parser.parse_args()
    adapter = Adapter(Variant(given.mode, given.protocol, given.compression))
    uvicorn.run(application(adapter), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
