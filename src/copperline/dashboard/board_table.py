"""A table of boards with a picture, real times and a link to everything that is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.board_pictures import THUMBNAIL, thumbnail_url
from copperline.dashboard.filters import name_or_unknown
from copperline.warehouse import BoardRow, DetectionRow

# Longer tables scroll.
FULL_HEIGHT = 12


def board_link(board_id: str) -> str:
    """The address of the board's own page, relative to the dashboard's."""
    return f"board?{urlencode({'board': board_id})}"


def board_table(
    rows: Sequence[BoardRow], *, key: str, detections: Mapping[str, tuple[DetectionRow, ...]] | None = None
) -> None:
    """Draws the table.

    Args:
        rows: the boards, in order.
        key: unique on the page.
        detections: of the latest inspections; if given, each row shows its most confident one.
    """
    zone = session.time_zone()
    records = []
    for row in rows:
        found = (detections or {}).get(row.inspection_id, ())
        records.append(
            {
                **({"picture": _picture(row, found)} if detections else {}),
                "board": row.board_id,
                "page": board_link(row.board_id),
                # A wall clock of the plant: the browser's own zone may be another.
                "inspected": row.inspected_at.astimezone(zone).replace(tzinfo=None),
                "call": row.call.value,
                "review": row.verdict or ("waits" if row.call.value != "PASS" else "not reviewed"),
                "defects": ", ".join(sorted({d.defect_class for d in found})) if detections else row.defects,
                "lowest confidence": row.lowest_confidence,
                "line": name_or_unknown(row.line_id),
                "product": name_or_unknown(row.product_type),
                "model": f"{row.model_name} {row.model_version}",
            }
        )
    st.container(key=f"table-{key}").dataframe(
        records,
        key=key,
        hide_index=True,
        height="content" if len(rows) <= FULL_HEIGHT else "auto",
        row_height=THUMBNAIL if detections else None,
        column_config={
            "picture": st.column_config.ImageColumn("picture", width=THUMBNAIL + 8),
            "inspected": st.column_config.DatetimeColumn(
                f"inspected ({session.settings().time_zone})", format="YYYY-MM-DD HH:mm:ss"
            ),
            "lowest confidence": st.column_config.NumberColumn(format="%.3f"),
            "page": st.column_config.LinkColumn("page", display_text="open", help="All that is known of the board."),
        },
    )


def _picture(row: BoardRow, found: Sequence[DetectionRow]) -> str | None:
    return thumbnail_url(row.image_path, found[0] if found else None, row.conditioning)
