"""The `copperline` command. Each command is a few lines over the API; what is heavy is imported when it is used."""

from copperline.cli.app import main

__all__ = ["main"]
