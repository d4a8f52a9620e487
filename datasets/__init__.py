"""Datasets: raw files -> builder -> clips. Imported as `tf_privinfo.datasets`."""
