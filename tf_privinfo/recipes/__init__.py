"""Recipes: methods on datasets with all hyperparameters, as data. Nothing here imports TensorFlow."""

from tf_privinfo.datasets.registry import DATASETS
from tf_privinfo.recipes.naming import directory_name, expected_minutes, overrides, run_directory, run_name
from tf_privinfo.recipes.recipe import (
    MIXED_DTYPES,
    MODALITIES,
    override,
    Recipe,
    shared_stages,
    SWITCH,
    training_stages,
)
from tf_privinfo.recipes.registry import (
    default_preset,
    default_protocol,
    form,
    METHODS,
    methods,
    PRESETS,
    recipe,
    VARIANTS,
)
from tf_privinfo.recipes.serialization import from_yaml, read, to_yaml

__all__ = [
    'DATASETS',
    'directory_name',
    'expected_minutes',
    'overrides',
    'run_directory',
    'run_name',
    'MIXED_DTYPES',
    'MODALITIES',
    'override',
    'Recipe',
    'shared_stages',
    'SWITCH',
    'training_stages',
    'default_preset',
    'default_protocol',
    'form',
    'METHODS',
    'methods',
    'PRESETS',
    'recipe',
    'VARIANTS',
    'from_yaml',
    'read',
    'to_yaml',
]
