"""Recordings of one's own, listed in samples.csv: videos, or single pictures of objects."""

import dataclasses

from tf_privinfo.datasets.spec import DatasetSpec

RECORDINGS = DatasetSpec(
    help='your own videos, listed in DATA_DIR/samples.csv (docs/recordings.md)',
    builder='tf_privinfo.datasets.recordings.builder:Recordings',
    protocols={},
    from_table=True,
    alignable=False)
RECORDINGS_OBJECTS = dataclasses.replace(
    RECORDINGS, help='your own single pictures, listed in DATA_DIR/samples.csv',
    builder='tf_privinfo.datasets.recordings.builder:RecordingsObjects', objects=True)
