"""Serving: SavedModels that need nothing of this project."""
