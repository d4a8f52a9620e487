"""What every other package uses: errors, atomic writes, command lines, paths, progress bars, Markdown."""
