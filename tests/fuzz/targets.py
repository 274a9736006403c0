"""The parsers that are fuzzed. A part of the project keeps its targets in a module of its own and is listed here."""

from tests.fuzz.core_targets import CORE_TARGETS
from tests.fuzz.harness import Target
from tests.fuzz.package_targets import PACKAGE_TARGETS
from tests.fuzz.search_targets import SEARCH_TARGETS
from tests.fuzz.session_targets import SESSION_TARGETS

TARGETS: tuple[Target, ...] = (*SEARCH_TARGETS, *CORE_TARGETS, *SESSION_TARGETS, *PACKAGE_TARGETS)
