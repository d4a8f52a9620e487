"""Evaluation: predictions, metrics, noise on depth, the threshold of the switch, nearest neighbours."""
