"""Reports: comparison of runs with the tables and figures of the thesis. Nothing here imports TensorFlow."""
