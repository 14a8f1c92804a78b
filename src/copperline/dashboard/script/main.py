"""What Streamlit runs for every visitor.

It lies in a folder of its own: from beside `pages/` Streamlit would run each page's file by itself, past the sign-in.
"""

from copperline.dashboard.app import main

if __name__ == "__main__":
    main()
