"""The synthetic objects: rendered objects in the layout of NYUD."""

import dataclasses

from tf_privinfo.datasets.nyud.spec import NYUD

SYNTHETIC_OBJECTS = dataclasses.replace(
    NYUD,
    help='objects, rendered on first use',
    builder='tf_privinfo.datasets.synthetic_objects.builder:SyntheticObjects',
    default_preset='small')
