"""``waypost templates``: look at the words that people are told, and check those of a new language."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from waypost.commands.common import fail

if TYPE_CHECKING:
    from waypost.notifications.render import Renderer
    from waypost.notifications.words.domain import OwnWords

MOST_PARTS = 2  # of an SMS with ordinary facts
Folder = Annotated[Path | None, typer.Option(help="A folder with a folder for each language [default: Waypost's].")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="The words that customers and staff are told.", no_args_is_help=True)
    group.command("preview")(preview)
    group.command("check")(check)
    app.add_typer(group, name="templates")


def preview(
    kind: Annotated[str, typer.Argument(help="What is told, such as payment_received.")],
    form: Annotated[str, typer.Option(help="email, sms or push.")] = "sms",
    locale: Annotated[str, typer.Option(help="The language, and perhaps the region: fr, fr-CD.")] = "en",
    file: Annotated[
        Path | None, typer.Option(help="Words of your own; of an e-mail and a push the first line is the subject.")
    ] = None,
    folder: Folder = None,
) -> None:
    """Print the words of a kind with an ordinary, a bare and a longest example; of an SMS the parts, too."""
    from waypost.notifications.kinds import KINDS
    from waypost.notifications.words.domain import Form
    from waypost.notifications.words.previews import previews, refused
    from waypost.notifications.words.samples import Sample

    if kind not in KINDS or form not in set(Form):
        fail(f"there is no {form} of {kind!r}; kinds are {', '.join(KINDS)}")
    renderer = _renderer(folder)
    words = _words(renderer, kind, Form(form), locale, file)
    if errors := refused(renderer, words):
        fail("\n".join(f"{each['field']}: {each['detail']}" for each in errors))
    for shown in previews(renderer, words, locale, list(Sample), None):
        parts = shown.segments
        typer.echo(
            f"--- {shown.sample}" + (f": {parts.parts} x {parts.encoding}, {parts.units} units" if parts else "")
        )
        typer.echo("\n".join(part for part in (shown.text.subject, shown.text.body) if part))


def check(folder: Folder = None) -> None:
    """Check all words of all languages: each has every kind, asks for no unknown fact, and an SMS is short."""
    from waypost.notifications.words.coverage import findings

    renderer = _renderer(folder)
    found = findings(renderer, MOST_PARTS)
    if found:
        fail("\n".join(found))
    languages = sorted({language for known in renderer.there.values() for language in known})
    typer.echo(f"every kind has its words in {', '.join(languages)}")


def _renderer(folder: Path | None) -> Renderer:
    from waypost.notifications.render import TEMPLATES, renderer

    return renderer(folder or TEMPLATES)


def _words(renderer: Renderer, kind: str, form: str, locale: str, file: Path | None) -> OwnWords:
    """Those of the file, or ours in the nearest language."""
    from waypost.notifications.words.domain import Form, OwnWords
    from waypost.platform.printing import language_for

    if file is None:
        language = language_for(locale, renderer.languages(kind, Form(form)))
        subject, body = renderer.source(kind, language, Form(form))
        return OwnWords(kind, Form(form), language, 0, subject, body)
    text = file.read_text()
    subject, _, body = ("", "", text) if form == Form.SMS else text.partition("\n")
    return OwnWords(kind, Form(form), locale, 0, subject, body)
