"""Methods: how streams are trained together and fused; one file per family."""
