"""NTU RGB+D, with 60 and with 120 actions."""
