"""The documents say what the code says, and name nothing of this machine."""

import importlib
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import waypost
from waypost import settings
from waypost.kernel.errors import AppError
from waypost.platform.web import status_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Made of parts, so that this file does not hold what it forbids.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("npmmirror", "com"),
    )
]
LEAST_PARTS = 3  # "/" and two folders: a checkout in /app is not told from other words


def between(path: str, name: str) -> str:
    text = (ROOT / path).read_text()
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)\n<!-- {name}:end -->", text, re.DOTALL)
    assert found, f"{path} has no part marked {name}"
    return found[1]


def test_the_settings_table_of_the_readme_is_that_of_the_code():
    assert between("README.md", "settings") == settings.table()


def app_errors() -> Iterator[type[AppError]]:
    for module in pkgutil.walk_packages(waypost.__path__, "waypost."):
        importlib.import_module(module.name)
    waiting = [AppError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("waypost."):
            yield kind


def test_every_error_code_and_status_is_in_the_protocol_and_no_other():
    in_code = {(kind.code, status_of(kind.__new__(kind))) for kind in app_errors()}
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \| .+ \|$", between("docs/protocol.md", "codes"), re.MULTILINE)
    in_table = {(code, int(status)) for code, status in rows}
    assert in_table == in_code
    assert len(rows) == len(in_table)


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_points_to_something(page: Path):
    missing = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            missing.append(link)
    assert missing == []


def test_every_decision_is_linked_or_listed_by_its_number():
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def tree_texts() -> list[tuple[str, str]]:
    """Every text file that is, or would be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode != 0:
        pytest.skip("this is no git checkout")
    texts = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (raw := path.read_bytes()):
            texts.append((name, raw.decode(errors="replace")))
    return texts


def test_no_file_names_the_host_of_a_registry():
    assert [(name, host) for name, text in tree_texts() for host in REGISTRIES if host in text] == []


def test_no_file_names_the_folder_of_this_checkout():
    if len(ROOT.parts) < LEAST_PARTS:
        pytest.skip(f"{ROOT} is too short a name to look for")
    path = re.compile(re.escape(str(ROOT)) + r"(?![\w-])")
    assert [name for name, text in tree_texts() if path.search(text)] == []
