"""Run directories, without TensorFlow; the module `restore` builds and restores trained methods."""

from tf_privinfo.runs.run import only_process, Run, set_aside

__all__ = [
    'only_process',
    'Run',
    'set_aside',
]
