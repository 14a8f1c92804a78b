"""What `streamlit run` serves: the pages of `main.py`, with hints that let a browser load charts early."""

import streamlit as st
from starlette.middleware import Middleware

from copperline.dashboard.hints import LoadChartsEarly

app = st.App("main.py", middleware=[Middleware(LoadChartsEarly)])
