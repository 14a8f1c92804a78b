"""The dashboard as an app in Snowflake. Written by `copperline snowflake deploy`, which overwrites changes."""

import os
from pathlib import Path

from copperline.dashboard.app import main

if __name__ == "__main__":
    # The settings are in the copperline.toml beside this file, whatever folder the runtime starts in.
    os.chdir(Path(__file__).parent)
    main()
