"""Networks: one file per architecture, as subclassed Keras models."""
