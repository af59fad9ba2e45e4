"""What a person sees of a running replay: a live table on a terminal, else a line now and then; and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from waypost.kernel.clock import Clock
from waypost.replay.stats import Stats

LINE_EVERY_S = 10.0
REFRESH_S = 1.0


class Display:
    """Shows the statistics until its task is cancelled."""

    def __init__(self, stats: Stats, clock: Clock, console: Console, playing: Callable[[], int]) -> None:
        self._stats = stats
        self._clock = clock
        self._console = console
        self._playing = playing
        self._began_s = clock.monotonic()

    async def show(self) -> None:
        if not self._console.is_terminal:
            while True:
                await self._clock.sleep(LINE_EVERY_S)
                self._console.print(self._line(), markup=False, highlight=False, soft_wrap=True)
        with Live(self._table(), console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                await self._clock.sleep(REFRESH_S)
                live.update(self._table(), refresh=True)

    def _line(self) -> str:
        return "  ".join(f"{name} {value}" for name, value in self._figures() if value != "-")

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, value in self._figures():
            table.add_row(f"[dim]{name}[/dim]", value)
        return table

    def _figures(self) -> list[tuple[str, str]]:
        now_s = self._clock.monotonic()
        vehicles = f"{self._stats.active(now_s)} active, {self._playing()} playing"
        return [("time", _duration(now_s - self._began_s)), ("vehicles", vehicles), *figures(self._stats)]


def figures(stats: Stats) -> list[tuple[str, str]]:
    """(name, value) of what was counted; "-" where there is nothing to tell."""
    middle, high = stats.latency_ms(0.5), stats.latency_ms(0.95)
    return [
        ("sent", f"{stats.sent:,}" + (f" (+{stats.resent:,} again)" if stats.resent else "")),
        ("accepted", f"{stats.accepted:,}"),
        ("duplicates", f"{stats.duplicates:,}"),
        ("late", f"{stats.late:,}"),
        ("rejected", _parts(stats.rejected)),
        ("flagged", _parts(stats.flagged)),
        ("dropped", f"{stats.dropped:,}" if stats.dropped else "-"),
        ("errors", _parts(stats.errors)),
        ("stopped", _parts(Counter(stats.stopped.values()))),
        ("latency", "-" if middle is None or high is None else f"p50 {middle:.0f} ms, p95 {high:.0f} ms"),
    ]


def summary(stats: Stats, seconds: float) -> str:
    """The last word: some lines without an end of line."""
    head = f"played {stats.played:,} fixes in {_duration(seconds)}, {stats.requests:,} requests"
    return "\n".join([head, *(f"  {name:<11}{value}" for name, value in figures(stats) if value != "-")])


def _parts(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common(6)) or "-"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
