"""Preparation: what turns native files into the frames that training reads."""
