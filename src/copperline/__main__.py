"""`python -m copperline` is the command `copperline`."""

from copperline.cli import main

# Processes that the command starts import this module again.
if __name__ == "__main__":
    main()
