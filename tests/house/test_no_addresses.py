"""What is committed works anywhere: it names no package registry and no folder of somebody's machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In pieces, so that this file does not find itself.
REGISTRIES = (
    "pypi" + ".org",
    "python" + "hosted",
    "index" + "-url http",
    "file:" + "//",
    "@" + " http",
    "/simp" + "le/",
)
MACHINE = re.compile("(?<![\\w.~$}-])/(?:" + "wo" + "rk|ro" + "ot|ho" + "me|Us" + "ers)/[a-z0-9]")


def tracked() -> list[Path]:
    """Files in git, and those that would be added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def lines() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            found.append((f"{path.relative_to(ROOT)}:{number}", line))
    return found


def test_no_file_names_a_registry() -> None:
    assert [where for where, line in lines() if any(name in line for name in REGISTRIES)] == []


def test_no_file_names_a_folder_of_a_machine() -> None:
    assert [where for where, line in lines() if MACHINE.search(line)] == []


def test_the_search_finds_what_it_looks_for() -> None:
    assert MACHINE.search('path = "/ho' + 'me/somebody/tidemark"')
    assert not MACHINE.search("https://example.test/ho" + "me/page")
    assert len(lines()) > 1000
