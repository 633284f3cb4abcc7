"""Divide pods over domains as evenly as their room allows, with no domain further ahead than the skew allows."""

from __future__ import annotations

from collections.abc import Sequence


def divide(
    number: int, holds: Sequence[int], room: Sequence[int], *, lowest_elsewhere: int | None, max_skew: int
) -> list[int]:
    """How many of ``number`` pods each domain gets, that ``holds`` so many now and has ``room`` for so many more.

    ``lowest_elsewhere`` is what the emptiest domain that counts but takes none of these pods holds, if there is one.
    The sum may be less than ``number``. Placed always where there are fewest, no pod on the way exceeds the skew.
    """
    floors = [held + space for held, space in zip(holds, room, strict=True)]
    if lowest_elsewhere is not None:
        floors.append(lowest_elsewhere)
    highest = min(floors) + max_skew if floors else 0

    def taken_up_to(level: int) -> list[int]:
        return [min(space, max(0, level - held)) for held, space in zip(holds, room, strict=True)]

    low, high = 0, highest
    while low < high:  # the highest level for which there are pods enough
        middle = (low + high + 1) // 2
        if sum(taken_up_to(middle)) <= number:
            low = middle
        else:
            high = middle - 1
    amounts = taken_up_to(low)
    if low < highest:
        more = number - sum(amounts)
        for domain, (amount, next_amount) in enumerate(zip(amounts, taken_up_to(low + 1), strict=True)):
            if more and next_amount > amount:
                amounts[domain] += 1
                more -= 1
    return amounts
