"""UWA3D Multiview Activity II."""
