"""Methods: joint training and fusion of streams; one file per family."""
