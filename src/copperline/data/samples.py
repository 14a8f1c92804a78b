"""A few boards that show as much as possible."""

from __future__ import annotations

from collections.abc import Sequence

from copperline.data.pairs import BoardPair


def showing_most_classes(pairs: Sequence[BoardPair], number: int) -> tuple[BoardPair, ...]:
    """At most `number` boards, each chosen for the classes that those before it do not show.

    Of boards that add as many, the one of a group not shown yet, then the one with fewer defects, which is easier to
    read, then the earlier. Boards without defects come last.
    """
    chosen: list[BoardPair] = []
    shown: set[int] = set()
    groups: set[str] = set()
    rest = list(enumerate(pairs))
    while rest and len(chosen) < number:
        best = min(
            rest,
            key=lambda item: (
                len(item[1].labels) == 0,
                -len({int(c) for c in item[1].labels.class_ids} - shown),
                item[1].board_group in groups,
                len(item[1].labels),
                item[0],
            ),
        )
        rest.remove(best)
        chosen.append(best[1])
        shown |= {int(c) for c in best[1].labels.class_ids}
        groups.add(best[1].board_group)
    return tuple(chosen)
