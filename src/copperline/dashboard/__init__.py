"""The dashboard: Streamlit pages, thin over warehouse queries and quality functions.

`launch.py` starts the server, which runs `app.py` for every visitor; `pages/` has one module a page, each with a
function `page()`. Nothing here computes a quality figure.
"""
