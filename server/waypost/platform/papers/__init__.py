"""Papers for people: one model of a printed page, as HTML and as PDF. See docs/decisions/0021-documents.md."""
