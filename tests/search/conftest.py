"""A tiny amp and a small search over it."""

from pathlib import Path

import pytest

from models.recordings.dataset import AmpData
from models.recordings.loading import load_data
from search.config.study import SearchConfig
from tests.support.makers import di, record
from tests.support.searches import SMALL, config_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("amp")
    record(where, "train", di())
    return where


@pytest.fixture(scope="module")
def amps(folder: Path) -> list[AmpData]:
    return [load_data(config_of(folder).datasets[0])]


@pytest.fixture
def small(folder: Path) -> SearchConfig:
    return config_of(folder, **SMALL)
