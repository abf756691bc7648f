"""Without Flask the import says what to install."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["flask"] = None
from hogbox.errors import MissingDependency
try:
    import hogbox.integrations.flask
except MissingDependency as error:
    print(error)
"""


def test_the_import_names_the_extra() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "pip install 'hogbox[flask]'" in done.stdout
