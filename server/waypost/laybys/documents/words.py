"""The words of a layby's papers, by language."""

from __future__ import annotations

from waypost.laybys.documents import words_en, words_fr
from waypost.platform.papers.pen import Languages

LANGUAGES: Languages = {"en": words_en.WORDS, "fr": words_fr.WORDS}
