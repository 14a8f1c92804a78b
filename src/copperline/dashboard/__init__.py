"""The dashboard: Streamlit pages, thin over warehouse queries and quality functions.

`launch.py` starts the server, `app.py` is the script that it runs, `pages/` has one module a page, each with a
function `page()`. Nothing here computes a quality figure.
"""
