"""The command `manual-grad`: what it is told, what it prints, and how it ends."""

from autodiff_ref.cli.app import main

__all__ = ["main"]
