"""What is shipped: the image's recipe against the tree, and the wheel against what it has to hold."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "server" / "waypost" / "web" / "index.html"


@dataclass
class Stage:
    """One FROM of the Dockerfile and the instructions after it."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        return [rest for instruction, rest in self.steps if instruction == word]


def stages() -> list[Stage]:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.append(Stage(rest.split(" AS ")[-1]))
        elif word:
            found[-1].steps.append((word, rest))
    return found


def copied_from_the_tree() -> list[str]:
    arguments = [shlex.split(rest) for stage in stages() for rest in stage.of("COPY")]
    return [source for words in arguments if not words[0].startswith("--from") for source in words[:-1]]


def ignore_rules() -> list[tuple[bool, re.Pattern[str]]]:
    """Each line of .dockerignore: whether it takes back, and what it matches (a folder matches all below it)."""
    rules = []
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            pattern = re.escape(text.removeprefix("!").strip("/"))
            for glob, regex in ((r"\*\*/", "(?:.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
                pattern = pattern.replace(glob, regex)
            rules.append((text.startswith("!"), re.compile(f"{pattern}(?:/.*)?")))
    return rules


def is_ignored(name: str) -> bool:
    """The last line that matches decides."""
    verdicts = [not takes_back for takes_back, pattern in ignore_rules() if pattern.fullmatch(name)]
    return bool(verdicts) and verdicts[-1]


def test_everything_that_the_image_copies_is_in_the_tree_and_not_ignored():
    sources = [source.rstrip("/") for source in copied_from_the_tree()]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if is_ignored(source)] == []


def test_the_image_gets_the_sources_and_nothing_private_or_built():
    for wanted in ("server/waypost/app.py", "migrations/0001_identity.sql", "dashboard/src/main.tsx"):
        assert not is_ignored(wanted)
    for unwanted in (
        ".git/config", ".venv/bin/python", "build/x", "tests/conftest.py", "signing.key",
        "dashboard/node_modules/vite/x.js", "server/waypost/web/index.html",
        "server/waypost/__pycache__/app.cpython-313.pyc",
    ):  # fmt: skip
        assert is_ignored(unwanted), unwanted


def test_the_wheel_of_the_image_is_built_from_all_that_pyproject_names():
    copied = {source.rstrip("/") for source in copied_from_the_tree()}
    assert {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "server", "workers", "migrations"} <= copied


def test_every_stage_that_is_copied_from_exists():
    known = {stage.name for stage in stages()}
    wanted = {name for stage in stages() for rest in stage.of("COPY") for name in re.findall(r"--from=(\S+)", rest)}
    assert wanted <= known


def test_the_image_runs_as_an_ordinary_user_and_says_how_it_is():
    final = stages()[-1]
    user = final.of("USER")[-1].split(":")[0]
    assert user not in {"root", "0"}
    assert any(f"--uid {user}" in step for step in final.of("RUN"))
    assert "/livez" in final.of("HEALTHCHECK")[0]
    assert final.of("EXPOSE") == ["8080"]
    assert final.of("CMD") == ['["waypost", "serve"]']
    assert "WAYPOST_HOST=0.0.0.0" in final.of("ENV")[0]


def test_the_image_installs_only_what_is_locked():
    installs = [step for step in stages()[-1].of("RUN") if "pip install" in step]
    commands = [part for step in installs for part in step.split("&&") if "pip install" in part]
    assert commands
    assert all("--require-hashes" in command or "--no-deps" in command for command in commands)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's path. Pages are taken as they were built; the build itself is `make web`'s matter."""
    if not PAGE.is_file():
        pytest.skip("the dashboard is not built (make web), and a wheel without it is none")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("waypost-*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents, as they lie in a site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_pages_migrations_and_both_packages(installed: Path):
    ours = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))
    assert sorted(path.name for path in (installed / "waypost" / "migrations").glob("*.sql")) == ours
    assert ours
    web = installed / "waypost" / "web"
    assert (web / "index.html").read_text() == PAGE.read_text()
    assets = re.findall(r"(?:src|href)=\"\./(assets/[^\"]+)\"", PAGE.read_text())
    assert assets
    assert [name for name in assets if not (web / name).is_file()] == []
    templates = [
        f"waypost/notifications/templates/{name}"
        for name in ("layout.html", "en/trip_started.txt", "pt/trip_started.sms.txt")
    ]
    for name in ("waypost/py.typed", "waypost_workers/py.typed", "waypost_workers/main.py", *templates):
        assert (installed / name).is_file(), name
    assert list(installed.glob("waypost-*.dist-info/licenses/LICENSE"))
    assert not list(installed.glob("**/__pycache__"))
    assert not (installed / "tests").exists()


def test_the_wheel_has_both_commands(installed: Path):
    entries = next(installed.glob("waypost-*.dist-info/entry_points.txt")).read_text()
    assert "waypost = waypost.cli:main" in entries
    assert "waypost-worker = waypost_workers.main:main" in entries


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("from waypost.platform import migrations; print(migrations.directory())", "waypost/migrations"),
        ("from waypost.platform import pages; print(pages.WEB)", "waypost/web"),
        ("from waypost.notifications import render; print(render.TEMPLATES)", "waypost/notifications/templates"),
    ],
)
def test_what_is_installed_finds_its_own_files(installed: Path, question: str, place: str):
    answer = run_installed(installed, "-c", question)
    assert Path(answer.strip()) == installed / place


def test_the_installed_commands_answer(installed: Path):
    assert "serve" in run_installed(installed, "-m", "waypost.cli", "--help")
    assert "usage: waypost-worker" in run_installed(installed, "-m", "waypost_workers.main", "--help")


def run_installed(site: Path, *arguments: str) -> str:
    """Run our interpreter with ``site`` before everything; the editable install's own paths come after it."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
