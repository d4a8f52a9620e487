"""Runs: their directories, here without TensorFlow; `restore` builds and restores the methods that they trained."""

from tf_privinfo.runs.run import only_process, Run, set_aside

__all__ = [
    'only_process',
    'Run',
    'set_aside',
]
