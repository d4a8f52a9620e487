"""Reports: tables and figures of the thesis beside the results of runs. Nothing here imports TensorFlow."""
