"""Whatever a server does, an exchange ends in time, with a body bounded in memory; for threads and event loops."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hogbox._http.client import AsyncHttpClient, HttpClient
from hogbox._http.response import NoReply, Response, TimedOut
from tests.http.raw_server import Answering, raw_server

PATIENCE = 0.6
SLACK = 2.0
"""Seconds beyond the deadline for a machine that is busy; each of the servers here would go on for ever."""

Exchange = Callable[..., Response]


def threaded(host: str, *, seconds: float = 5.0, limit: int = 100_000, content: bytes | None = None) -> Response:
    client = HttpClient(host)
    try:
        return client.exchange("POST", "/batch/", {}, content or b"{}", seconds=seconds, limit=limit)
    finally:
        client.close()


def awaited(host: str, *, seconds: float = 5.0, limit: int = 100_000, content: bytes | None = None) -> Response:
    async def exchange() -> Response:
        client = AsyncHttpClient(host)
        try:
            return await client.exchange("POST", "/batch/", {}, content or b"{}", seconds=seconds, limit=limit)
        finally:
            await client.close()

    return asyncio.run(exchange())


@pytest.fixture(params=[threaded, awaited])
def exchange(request: pytest.FixtureRequest) -> Exchange:
    return request.param  # type: ignore[no-any-return]


def drip(data: bytes) -> Answering:
    """The first line at once, then a byte at a time, again and again."""

    def answer(connection: socket.socket, _: bytes, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            for byte in data:
                if over.wait(0.05):
                    return
                connection.sendall(bytes([byte]))

    return answer


def flood(data: bytes) -> Answering:
    """The same over and over, as fast as it is taken."""

    def answer(connection: socket.socket, _: bytes, over: threading.Event) -> None:
        while not over.is_set():
            connection.sendall(data)

    return answer


def silence(_: socket.socket, __: bytes, over: threading.Event) -> None:
    over.wait()


def once(data: bytes) -> Answering:
    return lambda connection, *_: connection.sendall(data)


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "answering",
    [
        pytest.param(silence, id="no answer"),
        pytest.param(drip(b"X-Header: drip\r\n"), id="headers drip"),
        pytest.param(drip(b"Content-Length: 1000000\r\n\r\nbody"), id="body drips"),
        pytest.param(drip(b"Transfer-Encoding: chunked\r\n\r\n1;name=value\r\nx\r\n"), id="chunks drip"),
        pytest.param(flood(b"HTTP/1.1 100 Continue\r\n\r\n"), id="100 Continue without end"),
        pytest.param(flood(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), id="103 Early Hints without end"),
    ],
)
def test_p8_an_exchange_ends_at_its_deadline(exchange: Exchange, answering: Answering) -> None:
    with raw_server(answering) as server:
        began = time.monotonic()
        with pytest.raises(TimedOut, match=r"no response within 0\.6 s"):
            exchange(server.url, seconds=PATIENCE)
        assert time.monotonic() - began < PATIENCE + SLACK


def test_p8_a_handshake_that_hangs_ends_at_the_deadline(exchange: Exchange) -> None:
    # The client's first message has no blank line: the server reads it and says nothing.
    with raw_server(silence) as server:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            exchange(server.url.replace("http:", "https:"), seconds=PATIENCE)
        assert time.monotonic() - began < PATIENCE + SLACK


def test_p8_a_server_that_reads_nothing_ends_at_the_deadline(exchange: Exchange) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            exchange(f"http://127.0.0.1:{listening.getsockname()[1]}", seconds=PATIENCE, content=b"x" * 30_000_000)
        assert time.monotonic() - began < PATIENCE + SLACK


def test_p8_a_name_that_is_not_resolved_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        asked.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    with pytest.raises(TimedOut, match="was not resolved in time"):
        threaded("http://posthog.example", seconds=PATIENCE)
    asked.set()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of 127.0.0.2 at which no connection is answered: the queue of the listening socket is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.2", 0))
        listening.listen(0)
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def test_p8_an_address_that_does_not_answer_leaves_time_for_the_next(
    exchange: Exchange, black_hole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, black_hole)) for host in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
    with raw_server(once(ok(b"{}")), port=black_hole) as server:
        assert exchange(f"http://posthog.example:{server.port}", seconds=2.0).status == 200


@pytest.mark.parametrize(
    "answering",
    [
        pytest.param(flood(b"X-Header: " + b"x" * 1000), id="no status line"),
        pytest.param(once(b"HTTP/1.1 200 OK\r\n" + b"X-Header: y\r\n" * 100_000 + b"\r\n"), id="headers"),
        pytest.param(once(b"garbage\r\n\r\n"), id="garbage"),
        pytest.param(lambda connection, *_: connection.close(), id="closed"),
    ],
)
def test_p8_what_is_no_http_is_no_reply(exchange: Exchange, answering: Answering) -> None:
    with raw_server(answering) as server, pytest.raises(NoReply):
        exchange(server.url)


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def bomb() -> bytes:
    """300 MB of zeros in 300 KB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()


@pytest.mark.usefixtures("memory")
def test_p8_a_compressed_answer_is_bounded_as_what_it_expands_to(exchange: Exchange) -> None:
    answer = ok(bomb(), "Content-Encoding: gzip")
    with raw_server(once(answer)) as server:
        tracemalloc.reset_peak()
        response = exchange(server.url, limit=100_000)
        peak = tracemalloc.get_traced_memory()[1]
    assert (len(response.body), response.whole, response.status) == (100_000, False, 200)
    assert peak < len(answer) + 5_000_000


@pytest.mark.usefixtures("memory")
def test_p8_a_body_without_end_is_cut_at_the_bound(exchange: Exchange) -> None:
    def answer(connection: socket.socket, _: bytes, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 503 Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not over.is_set():
            connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    with raw_server(answer) as server:
        response = exchange(server.url, limit=100_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    assert (len(response.body), response.whole, response.status) == (100_000, False, 503)


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (b"{}", "identity", (b"{}", True)),
        (gzip.compress(b'{"status":"Ok"}'), "gzip", (b'{"status":"Ok"}', True)),
        (gzip.compress(b'{"status":"Ok"}'), "X-GZIP", (b'{"status":"Ok"}', True)),
        (gzip.compress(b"x" * 100_000), "gzip", (b"x" * 100_000, True)),
        (gzip.compress(b"a" * 500) + gzip.compress(b"b" * 500), "gzip", (b"a" * 500 + b"b" * 500, True)),
        (gzip.compress(b"a" * 500) + gzip.compress(b"b" * 500)[:-9], "gzip", (b"a" * 500 + b"b" * 500, False)),
        (gzip.compress(b"a" * 60_000) * 2, "gzip", (b"a" * 100_000, False)),
        (gzip.compress(b"a" * 500) + bytes(50_000), "gzip", (b"a" * 500, True)),
        (b"", "gzip", (b"", True)),
        (b"not compressed", "gzip", (b"", False)),
        (gzip.compress(b"y" * 500)[:-9], "gzip", (b"y" * 500, False)),
        (b"\x0b\x02\x80", "br", (b"\x0b\x02\x80", False)),
        (b"?", "no-such-encoding", (b"?", False)),
    ],
    ids=[
        "identity",
        "gzip",
        "x-gzip",
        "long",
        "members",
        "half member",
        "long members",
        "padding",
        "empty",
        "not gzip",
        "half",
        "half br",
        "unknown",
    ],
)
def test_a_body_is_decoded_or_said_not_to_be_whole(
    exchange: Exchange, body: bytes, encoding: str, expected: tuple[bytes, bool]
) -> None:
    with raw_server(once(ok(body, f"Content-Encoding: {encoding}"))) as server:
        response = exchange(server.url, limit=100_000)
    assert (response.body, response.whole) == expected


@pytest.mark.parametrize("charset", ["utf-8", "no-such-charset", "base64", "idna", "undefined"])
def test_a_body_is_text_whatever_charset_it_names(exchange: Exchange, charset: str) -> None:
    with raw_server(once(ok("né\n".encode() + b"\xff", f"Content-Type: text/plain; charset={charset}"))) as server:
        assert exchange(server.url).text() == "né\n\N{REPLACEMENT CHARACTER}"


def test_no_cookie_is_kept_and_no_redirect_is_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with raw_server(once(moved)) as server:
        client = HttpClient(server.url)
        found = [client.exchange("GET", "/", {}, seconds=5, limit=10) for _ in range(2)]
        client.close()
        assert [one.location for one in found] == ["/elsewhere", "/elsewhere"]
        assert len(server.requests) == 2
        assert not any(b"cookie" in request.lower() for request in server.requests)


def test_connections_are_kept_for_the_next_exchange() -> None:
    ports = set()

    def answer(connection: socket.socket, *_: object) -> None:
        ports.add(connection.getpeername()[1])
        connection.sendall(ok(b"{}"))

    with raw_server(answer) as server:
        client = HttpClient(server.url)
        for _ in range(3):
            client.exchange("GET", "/", {}, seconds=5, limit=10)
        client.close()
    assert len(ports) == 1


def test_a_deadline_that_passed_does_not_spoil_the_next_exchange() -> None:
    release = threading.Event()

    def answer(connection: socket.socket, _: bytes, over: threading.Event) -> None:
        if release.is_set():
            connection.sendall(ok(b"{}"))
        else:
            over.wait()

    with raw_server(answer) as server:
        client = HttpClient(server.url, connections=1)
        with pytest.raises(TimedOut):
            client.exchange("GET", "/", {}, seconds=0.2, limit=10)
        release.set()
        assert client.exchange("GET", "/", {}, seconds=5, limit=10).status == 200
        client.close()


class TestThePasswordOfAHost:
    def test_p9_is_sent_as_basic_authorization(self, exchange: Exchange) -> None:
        with raw_server(once(ok(b"{}"))) as server:
            exchange(server.url.replace("http://", "http://proxy:Pa%3A55@"))
            assert b"authorization: basic cHJveHk6UGE6NTU=" in server.requests[0].replace(b"Basic", b"basic").replace(
                b"Authorization", b"authorization"
            )
            assert b"Pa" not in server.requests[0].partition(b"uthorization")[0]

    def test_p9_does_not_replace_the_key_of_a_request(self) -> None:
        with raw_server(once(ok(b"{}"))) as server:
            client = HttpClient(server.url.replace("http://", "http://proxy:secret@"))
            client.exchange("GET", "/", {"Authorization": "Bearer phs_key"}, seconds=5, limit=10)
            client.close()
            assert b"Bearer phs_key" in server.requests[0]
            assert b"Basic" not in server.requests[0]


class TestTheEnvironment:
    @pytest.mark.parametrize(
        "variables",
        [
            {"ALL_PROXY": "socks5://127.0.0.1:1"},
            {"HTTP_PROXY": "http://[::bad"},
            {"http_proxy": "gopher://example.org"},
            {"HTTP_PROXY": "http://127.0.0.1:99999"},
            {"HTTP_PROXY": "://"},
        ],
        ids=str,
    )
    def test_p8_a_proxy_that_cannot_be_used_is_no_reply(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(NoReply):
            exchange("http://posthog.example")

    @pytest.mark.parametrize(
        "bypassed", ["*", "127.0.0.1", "::1/128,127.0.0.1", "[::1,127.0.0.1", "10.0.0.0/8, 127.0.0.1"]
    )
    def test_p8_a_host_in_no_proxy_is_reached_directly(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, bypassed: str
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", bypassed)
        with raw_server(once(ok(b"{}"))) as server:
            assert exchange(server.url).status == 200

    @pytest.mark.parametrize("written", ["{host}:{port}", "http://{host}:{port}", "other.example,{host}:{port}"])
    def test_p8_a_host_in_no_proxy_may_have_its_port(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, written: str
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        with raw_server(once(ok(b"{}"))) as server:
            monkeypatch.setenv("NO_PROXY", written.format(host="127.0.0.1", port=server.port))
            assert exchange(server.url).status == 200

    def test_a_proxy_of_the_environment_is_used(self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
        with raw_server(once(ok(b"{}"))) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://user:secret@"))
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            assert exchange("http://posthog.example").status == 200
            assert proxy.requests[0].startswith(b"POST http://posthog.example/batch/ HTTP/1.1")
            assert b"roxy-" in proxy.requests[0]

    def test_p9_the_password_of_a_proxy_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALL_PROXY", "gopher://user:secret@example.org")
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(NoReply, match=r"gopher://example\.org") as raised:
            threaded("http://posthog.example")
        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_p8_certificates_that_are_missing_are_no_reply(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "/no/such/place")
        with raw_server(silence) as server, pytest.raises(NoReply):
            exchange(server.url.replace("http:", "https:"), seconds=PATIENCE)

    def test_certificates_are_not_read_for_plain_http(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: pytest.fail("certificates were read"))
        monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
        with raw_server(once(ok(b"{}"))) as server:
            assert exchange(server.url).status == 200


def test_a_host_with_a_path_keeps_it(exchange: Exchange) -> None:
    with raw_server(once(ok(b"{}"))) as server:
        exchange(f"{server.url}/ph og/é")
        assert server.requests[0].startswith(b"POST /ph%20og/%C3%A9/batch/ HTTP/1.1")
