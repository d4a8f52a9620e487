"""Training: loop over stages, callbacks, optimizers, devices and TensorBoard logs."""
