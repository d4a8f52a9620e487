"""NYUD objects: RGB and HHA crops of 19 classes of NYU Depth v2."""
