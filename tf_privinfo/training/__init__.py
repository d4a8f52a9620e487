"""Training: the loop over stages, its callbacks, optimizers, devices and TensorBoard logs."""
