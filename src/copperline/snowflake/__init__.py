"""A Snowflake account: connections to it, its errors in plain words, and the objects that Copperline makes there."""

from copperline.snowflake.apps import (
    allow_notebook,
    create_notebook,
    create_streamlit,
    drop_notebook,
    drop_streamlit,
    open_notebook,
    open_streamlit,
    share_streamlit,
)

__all__ = [
    "allow_notebook",
    "create_notebook",
    "create_streamlit",
    "drop_notebook",
    "drop_streamlit",
    "open_notebook",
    "open_streamlit",
    "share_streamlit",
]
