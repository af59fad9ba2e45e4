"""``make lock``: resolve everything once, then cut the smaller locks out of it, so that versions agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMPILE = [
    str(Path(sys.executable).parent / "uv"), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
    "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url",
]  # fmt: skip
PROJECT = "pyproject.toml"
LOCKS = {
    "dev.txt": [
        PROJECT,
        "requirements/build.in",
        "--extra",
        "embedded",
        "--extra",
        "owntracks",
        "--extra",
        "apprise",
        "--extra",
        "dkim",
        "--extra",
        "dev",
    ],
    "run.txt": [PROJECT, "requirements/build.in", "--extra", "embedded", "--constraint", "requirements/dev.txt"],
    "base.txt": [PROJECT, "--constraint", "requirements/dev.txt"],
    "node.txt": ["requirements/node.in"],
}


def main() -> None:
    """Options (``--upgrade``) go to the first resolution."""
    for name, sources in LOCKS.items():
        options = sys.argv[1:] if name == "dev.txt" else []
        command = [*COMPILE, *sources, *options, "--output-file", f"requirements/{name}"]
        subprocess.run(command, cwd=HERE.parent, check=True)
        print(f"wrote requirements/{name}")


if __name__ == "__main__":
    main()
