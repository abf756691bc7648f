"""Without its library an integration says what to install; hogbox itself imports none."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("integration", "blocked", "told"),
    [
        ("starlette", "starlette", "hogbox.integrations.starlette needs Starlette: pip install 'hogbox[starlette]'"),
        ("fastapi", "fastapi", "hogbox.integrations.fastapi needs FastAPI: pip install 'hogbox[fastapi]'"),
        ("fastapi", "starlette", "hogbox.integrations.fastapi needs FastAPI: pip install 'hogbox[fastapi]'"),
    ],
)
def test_a_library_that_is_missing_is_named(integration: str, blocked: str, told: str) -> None:
    code = f"import sys; sys.modules[{blocked!r}] = None; import hogbox.integrations.{integration}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"hogbox.errors.MissingDependency: {told}"


def test_starlette_is_enough_for_what_needs_no_more() -> None:
    code = "import sys; sys.modules['fastapi'] = sys.modules['pydantic'] = None; import hogbox.integrations.starlette"
    subprocess.run([sys.executable, "-c", code], check=True)
