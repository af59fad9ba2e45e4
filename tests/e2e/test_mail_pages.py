"""E-mails as a phone and a desk show them, light and dark, with as much in them as can well be."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.e2e.browser import AXE, OVERFLOW, THEMES, browser
from tests.e2e.dashboard import NEEDS
from tests.pictures import LOGO
from waypost.notifications.kinds import KINDS
from waypost.notifications.layout import with_stop
from waypost.notifications.render import renderer
from waypost.notifications.words.samples import Sample, sample

pytestmark = NEEDS[:1]
WIDTHS = (390, 700)
STOP = "https://waypost.jacaranda-stores.example/unsubscribe/Zk3v9QmTt0a1b2c3d4e5f6g7h8i9j0kl"
# Of the words alone: an e-mail has neither landmarks nor headings.
READABLE = """async () => {
  const { violations } = await axe.run(document, { runOnly: ['color-contrast', 'document-title', 'html-has-lang'] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join('; ')}`);
}"""


@pytest.fixture
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as launched:
        yield launched


def pages(language: str) -> dict[str, str]:
    words = renderer()
    picture = f"data:image/png;base64,{base64.b64encode(LOGO).decode()}"
    look = {"brandColour": "#b3261e", "brandLogo": picture, "brandLogoWidth": "200", "brandLogoHeight": "60"}
    texts = {kind: words.render(kind, language, {**sample(kind, Sample.LONGEST), **look}) for kind in KINDS}
    return {kind: with_stop(text.body, text.html, STOP)[1] for kind, text in texts.items()}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", ["en", "fr", "es", "pt"])
async def test_every_e_mail_fits_and_can_be_read(chrome: Browser, language: str, theme: str):
    wrong = []
    for width in WIDTHS:
        context = await chrome.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if theme == "dark" else "light"
        )
        page = await context.new_page()
        for kind, html in pages(language).items():
            await page.set_content(html)
            if (wider := await page.evaluate(OVERFLOW)) > 0:
                wrong.append(f"{kind} at {width}: {wider} px too wide")
            if AXE.is_file():
                await page.evaluate(AXE.read_text())
                wrong += [f"{kind} at {width}: {each}" for each in await page.evaluate(READABLE)]
        await context.close()
    assert wrong == []
