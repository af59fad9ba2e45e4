"""``waypost templates``: what who writes words sees of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from waypost.cli import app
from waypost.notifications.render import TEMPLATES


def ran(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["templates", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Waypost's words in French, to be changed."""
    shutil.copytree(TEMPLATES / "fr", tmp_path / "words" / "fr")
    shutil.copy(TEMPLATES / "layout.html", tmp_path / "words")
    return tmp_path / "words"


def test_a_new_language_is_whole_or_what_it_lacks_is_said(folder: Path):
    assert ran("check", "--folder", folder).output == "every kind has its words in fr\n"
    (folder / "fr" / "trip_near.sms.txt").unlink()
    (folder / "fr" / "trip_arrived.txt").write_text("{{ business }}\n\n{{ nmae }}\n")
    (folder / "fr" / "payment_failed.sms.txt").write_text("{{ business }} : " + "é" * 300)
    result = ran("check", "--folder", folder)
    assert result.exit_code == 1
    assert "fr/trip_near, sms: there are no words" in result.output
    assert 'fr/trip_arrived, email: body: line 1: "nmae" is no field of this kind; near: name' in result.output
    assert "fr/payment_failed, sms: with the example ordinary it has 3 parts" in result.output
    assert result.output.count("\n") == 3 + 9  # the codes of that kind are tried one by one


def test_words_are_shown_with_their_examples_and_parts():
    result = ran("preview", "payment_received", "--locale", "fr-CD")
    assert result.exit_code == 0
    assert "--- ordinary: 2 x gsm7" in result.output
    assert "--- bare: 1 x gsm7" in result.output
    assert "--- longest: " in result.output
    assert "encaissé 250,00 KES" in result.output


def test_words_in_a_file_are_checked_and_shown(tmp_path: Path):
    draft = tmp_path / "draft.txt"
    draft.write_text("About {{ reference }}\n\nHello {{ name }}\n")
    result = ran("preview", "payment_received", "--form", "email", "--file", draft)
    assert result.output.startswith("--- ordinary\nAbout 7K3MQ96\nHello Chipo Dube\n")
    draft.write_text("About {{ referense }}\n\nHello\n")
    result = ran("preview", "payment_received", "--form", "email", "--file", draft)
    assert (result.exit_code, "near: reference" in result.output) == (1, True)


@pytest.mark.parametrize("arguments", [["no_such"], ["payment_received", "--form", "fax"]], ids=["kind", "form"])
def test_what_is_not_told_cannot_be_shown(arguments: list[str]):
    result = ran("preview", *arguments)
    assert result.exit_code == 1
    assert "there is no" in result.output
