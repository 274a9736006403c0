"""The version of the package `ampzoo`."""

__version__ = "0.2.0"
