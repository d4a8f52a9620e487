"""The synthetic multimodal dataset: rendered scenes in the native layout of NW-UCLA."""
