"""Pure rules for the clocks of phones: constants that repair a time, and the steady offset of a stream.

Source: docs/decisions/0013-group-commit.md, from the faults that phones really have.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

DAY_MS = 86_400_000
NEAR_MS = 7 * DAY_MS  # a repair must land so near to now
GPS_ROLLOVER_MS = 1024 * 7 * DAY_MS  # receivers count weeks in ten bits
EPOCH_2001_MS = 978_307_200_000
SECOND_MS = 1000

SKEW_MS = 10_000  # a smaller offset is the network's
STEADY_SAMPLES = 3
JITTER_MS = 1500  # of the network, between samples that agree
FRESH_MS = 600_000  # so long before sending a batch's newest fix was taken, if it is to tell the clock
LONGEST_OFFSET_MS = NEAR_MS


def repaired(raw_ms: int, now_ms: int) -> int | None:
    """The moment that is meant by a time far from now, if one constant brings it within 7 days of now; else None.

    GPS weeks that rolled over, an epoch of 2001 (as milliseconds, or its seconds), seconds sent as milliseconds,
    milliseconds sent as seconds (which came here times 1,000).
    """
    for meant_ms in (
        raw_ms + GPS_ROLLOVER_MS,
        raw_ms + EPOCH_2001_MS,
        raw_ms * SECOND_MS,
        raw_ms // SECOND_MS,
        raw_ms * SECOND_MS + EPOCH_2001_MS,
    ):
        if -NEAR_MS <= meant_ms - now_ms <= NEAR_MS:
            return meant_ms
    return None


def is_told_by(sent_ms: int, newest_ms: int, received_ms: int) -> bool:
    """Does a batch's newest time come from the clock that told when it was sent?

    A phone whose own clock is wrong may still take the times of its fixes from its GNSS receiver: then they are right.
    """
    since_ms = abs(sent_ms - newest_ms)
    return since_ms <= FRESH_MS and since_ms <= abs(received_ms - newest_ms)


def with_sample(samples: Sequence[int], offset_ms: int) -> list[int]:
    """A stream's last offsets (ours minus the phone's), the newest last."""
    return [*samples[1 - STEADY_SAMPLES :], offset_ms] if abs(offset_ms) <= LONGEST_OFFSET_MS else list(samples)


def steady_offset_ms(samples: Sequence[int]) -> int:
    """By how much a stream's times are to be corrected; 0: its clock is right, or nobody can say.

    Three offsets in a row that hardly differ are steady: those of bodies that were kept and are all sent at once differ
    by the time between them. Only a clock that is ahead is believed at once, since no kept body was sent in the future.
    """
    last = samples[-STEADY_SAMPLES:]
    if len(last) == STEADY_SAMPLES and max(last) - min(last) <= JITTER_MS:
        offset_ms = median_low(last)
    elif samples and samples[-1] < 0:
        offset_ms = samples[-1]
    else:
        return 0
    return offset_ms if abs(offset_ms) > SKEW_MS else 0
