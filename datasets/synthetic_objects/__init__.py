"""The synthetic object dataset: rendered objects in the native layout of NYUD."""
