"""Utilities for all packages: errors, atomic writes, command lines, paths, progress bars, Markdown."""
