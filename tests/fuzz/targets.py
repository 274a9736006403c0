"""The parsers that are fuzzed. A part of the project keeps its targets in a module of its own and is listed here."""

from tests.fuzz.harness import Target
from tests.fuzz.search_targets import SEARCH_TARGETS

TARGETS: tuple[Target, ...] = (*SEARCH_TARGETS,)
