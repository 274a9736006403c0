"""The names of the files in a model's folder; light to import."""

from pathlib import Path

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
EVAL = "eval.json"
RECIPE = "recipe.json"
HISTORY = "history.jsonl"
SPLIT = "split.json"
FOLD_SCORES = "folds.json"
STATE = "state.safetensors"
MACHINE = "machine.json"
TRAINING = "training.json"  # of a package: how its model was trained

NAM_SUFFIX = ".nam"


def is_nam_file(path: Path) -> bool:
    """Return whether this is a file with the suffix of `.nam` files."""
    return path.suffix.lower() == NAM_SUFFIX and path.is_file()
