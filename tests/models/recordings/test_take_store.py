"""Takes past a size are mapped from files, which are deleted with the store."""

import gc
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from models.recordings import take_store
from models.recordings.loading import load_data
from models.training.trainer import Trainer
from tests.support.makers import data_config, di, recipe, record


def test_mapped_takes_train_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = data_config(record(tmp_path, "train", di(1.5)))
    whole = Trainer(recipe(config), load_data(config)).advance(5)
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr(take_store, "RESIDENT_BYTES", 3 * 4 * len(di(1.5)))
    trainer = Trainer(recipe(config), load_data(config))
    assert len(list((tmp_path / "temp").glob("*/*"))) == 20 - 3
    assert trainer.advance(5) == whole
    del trainer
    gc.collect()
    assert not list((tmp_path / "temp").iterdir())


def test_stored_samples_are_unchanged(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(take_store, "RESIDENT_BYTES", 40)
    store, signals = take_store.TakeStore(), [np.arange(n, dtype=np.float32) for n in (5, 5, 5, 1)]
    for x_T in signals:
        assert torch.equal(store(x_T), torch.from_numpy(x_T))


@pytest.mark.skipif(os.name == "nt", reason="a mapped file cannot be deleted")
def test_a_file_goes_with_its_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = take_store.TakeStore(resident_bytes=0)
    kept, dropped = (store(np.arange(n, dtype=np.float32)) for n in (4, 5))
    del dropped
    gc.collect()
    assert len(list(tmp_path.glob("*/*"))) == 1 and kept.tolist() == [0, 1, 2, 3]


def test_datasets_share_a_dry_signal(tmp_path: Path):
    one, two = (load_data(data_config(record(tmp_path / n, "train", di(1.5)), name=n)) for n in ("a", "b"))
    assert one.dry_T[0] is two.dry_T[0]
