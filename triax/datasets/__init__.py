"""Recorded experience: write, read, select, split; and draw batches of it as from a replay."""

from triax.datasets.dataset import Dataset, DatasetSplit, DatasetStatistics, join_datasets
from triax.datasets.files import list_datasets
from triax.datasets.loading import DatasetConfig, load_dataset
from triax.datasets.source import DatasetSource, DatasetState
from triax.datasets.writing import DatasetNotes, RecordedEpisode, check_recordable, write_dataset

__all__ = [
    "Dataset",
    "DatasetConfig",
    "DatasetNotes",
    "DatasetSource",
    "DatasetSplit",
    "DatasetState",
    "DatasetStatistics",
    "RecordedEpisode",
    "check_recordable",
    "join_datasets",
    "list_datasets",
    "load_dataset",
    "write_dataset",
]
