"""Stack frames of an exception (wire protocol 2.11, "Stack frames")."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from types import CodeType, FrameType, TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.frame import MAX_FRAMES, MAX_TEXT_BYTES, Lines, ProjectCode, cut, json_size, stack_frames
from hogbox._events.in_app import CodePlaces

ROOM = 1_000_000


def no_source(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    return []


def numbered(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    return [f"line {number}\n" for number in range(1, 21)]


def project(
    *, lines: Lines = no_source, root: str = "/srv", include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> ProjectCode:
    return ProjectCode(lines=lines, places=CodePlaces(root=root, include=include, exclude=exclude))


def frame_of(code: CodeType, namespace: dict[str, Any]) -> FrameType:
    """The frame in which this code divided by zero."""
    with pytest.raises(ZeroDivisionError) as caught:
        exec(code, namespace)
    return caught.tb.tb_next.tb_frame if caught.tb.tb_next else caught.tb.tb_frame


def traceback_in(filename: str, module: object = "shop", *, lineno: int = 1, length: int = 1) -> TracebackType:
    """A traceback of that many frames in one module; the first is at `lineno`, the next one line further."""
    namespace = {} if module is None else {"__name__": module}
    frame = frame_of(compile("1 / 0", filename, "exec"), namespace)
    entry: TracebackType | None = None
    for step in reversed(range(length)):
        entry = TracebackType(entry, frame, 0, lineno + step)
    assert entry is not None
    return entry


def only_frame(traceback: TracebackType, project: ProjectCode) -> dict[str, Any]:
    (frame,) = stack_frames(traceback, project=project, room=ROOM)
    return frame


def test_frames_run_from_the_entry_point_to_where_it_was_raised() -> None:
    def checkout() -> None:
        pay()

    def pay() -> None:
        raise LookupError

    with pytest.raises(LookupError) as caught:
        checkout()
    frames = stack_frames(caught.value.__traceback__, project=project(lines=linecache.getlines), room=ROOM)
    assert [frame["function"] for frame in frames] == [
        "test_frames_run_from_the_entry_point_to_where_it_was_raised",
        "checkout",
        "pay",
    ]
    assert [frame["context_line"] for frame in frames[1:]] == ["        pay()", "        raise LookupError"]


def test_a_frame_shows_where_it_is_and_the_lines_around() -> None:
    traceback = traceback_in("/srv/shop/pay.py", "shop.pay", lineno=7)
    assert only_frame(traceback, project(lines=numbered)) == {
        "platform": "python",
        "filename": "shop/pay.py",
        "abs_path": "/srv/shop/pay.py",
        "module": "shop.pay",
        "function": "<module>",
        "lineno": 7,
        "in_app": True,
        "pre_context": ["line 2", "line 3", "line 4", "line 5", "line 6"],
        "context_line": "line 7",
        "post_context": ["line 8", "line 9", "line 10", "line 11", "line 12"],
    }


def test_the_line_is_that_of_the_traceback_not_where_the_frame_is_now() -> None:
    with pytest.raises(LookupError) as caught:
        raise LookupError
    assert caught.tb.tb_frame.f_lineno > caught.tb.tb_lineno
    assert only_frame(caught.tb, project())["lineno"] == caught.tb.tb_lineno


def test_no_traceback_has_no_frames() -> None:
    assert stack_frames(None, project=project(), room=ROOM) == []


def test_values_of_variables_are_never_shown() -> None:
    def pay(card_number: str) -> None:
        code = card_number + "-0000"
        raise LookupError(code)

    digits = ["4111", "1111"]
    with pytest.raises(LookupError) as caught:
        pay("".join(digits))
    frames = stack_frames(caught.value.__traceback__, project=project(lines=linecache.getlines), room=ROOM)
    assert "".join(digits) not in repr(frames)


@pytest.mark.parametrize(
    ("path", "module", "filename"),
    [
        ("/srv/shop/pay.py", "shop.pay", "shop/pay.py"),
        ("/srv/shop/shop/pay.py", "shop.shop.pay", "shop/shop/pay.py"),
        ("/srv/shop/pay/__init__.py", "shop.pay", "shop/pay/__init__.py"),
        ("/srv/shop/__init__.py", "shop", "shop/__init__.py"),
        ("/srv/manage.py", "manage", "manage.py"),
        ("/srv/shop/__main__.py", "__main__", "__main__.py"),
        ("/srv/shop/pay.py", "elsewhere.pay", "/srv/shop/pay.py"),
        ("/pay.py", "a.b.c.pay", "/pay.py"),
        ("/srv/shop/pay.py", None, "/srv/shop/pay.py"),
    ],
)
def test_the_file_name_begins_at_the_top_level_package(path: str, module: str | None, filename: str) -> None:
    assert only_frame(traceback_in(path, module), project())["filename"] == filename


@pytest.mark.parametrize(
    ("written", "absolute"),
    [
        ("/srv/bin/../shop/pay.py", "/srv/shop/pay.py"),
        ("/../shop/pay.py", "/shop/pay.py"),
        ("shop/pay.py", "/srv/shop/pay.py"),
        ("../lib/pay.py", "/lib/pay.py"),
    ],
)
def test_the_absolute_path_is_made_from_the_root_and_has_no_detours(written: str, absolute: str) -> None:
    assert only_frame(traceback_in(written), project())["abs_path"] == absolute


@pytest.mark.parametrize(("written", "root"), [("<string>", "/srv"), ("pay.py", "")])
def test_what_is_no_file_or_has_no_known_place_has_no_path_and_is_nobodys_code(written: str, root: str) -> None:
    frame = only_frame(traceback_in(written), project(root=root))
    assert frame["filename"] == written
    assert "abs_path" not in frame
    assert "in_app" not in frame


def test_frozen_modules_are_a_librarys_code() -> None:
    assert only_frame(traceback_in("<frozen importlib._bootstrap>"), project(root="/"))["in_app"] is False


def test_a_file_without_a_name_has_no_file_name() -> None:
    assert only_frame(traceback_in(""), project()).keys() == {"platform", "module", "function", "lineno"}


@pytest.mark.parametrize("module", [None, "", 7])
def test_a_module_without_a_name_is_left_out(module: object) -> None:
    assert "module" not in only_frame(traceback_in("/srv/pay.py", module), project())


def test_a_function_without_a_name_is_unknown() -> None:
    code = compile("1 / 0", "/srv/pay.py", "exec").replace(co_name="")
    traceback = TracebackType(None, frame_of(code, {}), 0, 1)
    assert only_frame(traceback, project())["function"] == "<unknown>"


@pytest.mark.parametrize(
    ("path", "module", "in_app"),
    [
        ("/srv/shop/pay.py", "shop.pay", True),
        ("/srvother/shop/pay.py", "shop.pay", None),
        ("/usr/lib/python3.11/json/decoder.py", "json.decoder", None),
        ("/srv/.venv/lib/python3.11/site-packages/httpx2/_client.py", "httpx2._client", False),
        ("/usr/lib/python3/dist-packages/six.py", "six", False),
        ("/usr/lib/python3/dist-packages/ours/pay.py", "ours.pay", True),
        ("<string>", "ours", True),
        ("/srv/ours_too/pay.py", "ours_too.pay", True),
        ("/srv/theirs/pay.py", "theirs.pay", False),
        ("/srv/theirs.py", "theirs", False),
        ("/srv/theirs/kept/pay.py", "theirs.kept.pay", True),
        ("/srv/pay.py", None, True),
    ],
)
def test_whose_code_it_is_follows_the_first_rule_that_applies(
    path: str, module: str | None, in_app: bool | None
) -> None:
    rules = project(include=["ours", "theirs.kept"], exclude=["theirs"])
    assert only_frame(traceback_in(path, module), rules).get("in_app") is in_app


@pytest.mark.parametrize(("lineno", "before", "after"), [(1, 0, 5), (3, 2, 5), (20, 5, 0), (18, 5, 2)])
def test_context_ends_where_the_file_does(lineno: int, before: int, after: int) -> None:
    frame = only_frame(traceback_in("/srv/pay.py", lineno=lineno), project(lines=numbered))
    assert frame["context_line"] == f"line {lineno}"
    assert (len(frame["pre_context"]), len(frame["post_context"])) == (before, after)


def failing(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    raise RuntimeError("this loader has no source")


def shorter(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    return ["it had more lines once\n"]


def endless(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    return ["é" * 1_000 + "\r\n"]


@pytest.mark.parametrize("lines", [no_source, failing, shorter])
def test_a_frame_without_source_has_no_context(lines: Lines) -> None:
    frame = only_frame(traceback_in("/srv/pay.py", lineno=4), project(lines=lines))
    assert frame["lineno"] == 4
    assert not {"pre_context", "context_line", "post_context"} & frame.keys()


def test_a_line_that_is_not_known_has_no_context() -> None:
    frame = only_frame(traceback_in("/srv/pay.py", lineno=0), project(lines=numbered))
    assert not {"lineno", "pre_context", "context_line", "post_context"} & frame.keys()


def test_source_is_asked_for_with_the_modules_globals() -> None:
    asked: list[tuple[str, str]] = []

    def lines(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
        assert namespace is not None
        asked.append((filename, namespace["__name__"]))
        return []

    only_frame(traceback_in("shop/pay.py", "shop.pay"), project(lines=lines))
    assert asked == [("shop/pay.py", "shop.pay")]


def test_a_long_source_line_is_cut_to_1024_bytes() -> None:
    frame = only_frame(traceback_in("/srv/pay.py"), project(lines=endless))
    assert frame["context_line"] == "é" * 510 + "..."
    assert len(frame["context_line"].encode()) == MAX_TEXT_BYTES - 1


def test_a_frame_without_source_and_with_a_long_path_stays_small() -> None:
    assert json_size(only_frame(traceback_in("/srv/" + "a" * 9_000), project())) < 4 * MAX_TEXT_BYTES


def test_of_a_deep_recursion_the_first_and_the_last_frames_remain() -> None:
    frames = stack_frames(traceback_in("/srv/pay.py", length=1_000), project=project(), room=ROOM)
    half = MAX_FRAMES // 2
    assert [frame["lineno"] for frame in frames] == [*range(1, half + 1), *range(1_001 - half, 1_001)]


def test_little_room_keeps_both_ends_and_source_only_for_the_outermost_of_them() -> None:
    traceback = traceback_in("/srv/pay.py", length=20)
    frames = stack_frames(traceback, project=project(lines=numbered), room=2_000)
    assert json_size(frames) <= 2_000
    assert [frame["lineno"] for frame in frames] == [1, 2, 3, 4, 5, 15, 16, 17, 18, 19, 20]
    assert [frame["lineno"] for frame in frames if "context_line" in frame] == [1, 19, 20]


@pytest.mark.parametrize("room", [-1, 0, 50])
def test_no_room_keeps_no_frame(room: int) -> None:
    assert stack_frames(traceback_in("/srv/pay.py"), project=project(), room=room) == []


@given(length=st.integers(1, 150), room=st.integers(0, 40_000))
def test_frames_keep_within_the_room_and_in_order_with_the_raising_one_among_them(length: int, room: int) -> None:
    traceback = traceback_in("/srv/shop/pay.py", "shop.pay", length=length)
    frames = stack_frames(traceback, project=project(lines=numbered), room=room)
    numbers = [frame["lineno"] for frame in frames]
    assert sum(map(json_size, frames)) <= room
    assert numbers == sorted(set(numbers))
    assert len(frames) <= MAX_FRAMES
    assert not frames or numbers[-1] == length


@given(text=st.text(st.characters(exclude_categories=())), limit=st.integers(3, 40))
def test_a_cut_text_fits_is_valid_and_begins_as_it_began(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short.encode()) <= limit
    whole = cut(text, 10_000)
    assert short == whole or whole.startswith(short.removesuffix("..."))


def test_a_text_that_fits_exactly_is_not_cut() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abc..."
    assert cut("abcdefg", 0) == "..."
