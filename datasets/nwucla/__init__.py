"""Northwestern-UCLA Multiview Action3D."""
