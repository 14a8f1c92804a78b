"""The folder of the script that Streamlit runs; see `main.py`."""
