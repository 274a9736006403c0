"""One amp as plugins: VST 3, CLAP and LV2, for this machine or others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.core.errors import UserError
from models.formats.open_model import open_model
from models.formats.player.reader import AmpFile, read_amp
from models.formats.player.writer import amp_bytes
from models.formats.plugin.bundles import PLUGIN_FORMATS, formats_for, write_plugin
from models.formats.plugin.targets import SYSTEMS, this_machine

OWNER_LETTERS, AMP_LETTERS = 20, 40  # in the name of a plugin, which has room for 63


@dataclass(frozen=True)
class PluginAmp:
    """An amp to make plugins of: the bytes of `amp.bin`, and the name of their files without the ending."""

    data: bytes
    stem: str

    @property
    def file(self) -> AmpFile:
        """What the bytes say of the amp."""
        return read_amp(self.data)


def plugin_amp(source: Path, name: str, tier: str = "") -> PluginAmp:
    """Return a model as plugins play it.

    Sessions find a plugin by an identifier that is made of `name` and `tier`: `owner/amp`, or the name of a model that
    is not published. It stays the same when the amp is trained again.

    Raises `UserError` for a model that the C player cannot play.
    """
    config, net = open_model(source)
    owner, _, amp = name.rpartition("/")
    parts = f"{amp} {tier}".strip()[:AMP_LETTERS], owner[:OWNER_LETTERS]
    shown = " - ".join(filter(None, parts))
    data = amp_bytes(config.model_copy(update={"name": shown}), net, ":".join(filter(None, [name, tier])))
    plugin = PluginAmp(data, "-".join(filter(None, [owner, amp, tier])))
    plugin.file  # noqa: B018 (what the player would refuse is refused here)
    return plugin


def targets_of(systems: Sequence[str]) -> list[str]:
    """Return the targets of systems as people name them; none are this machine. Raises `UserError`."""
    for system in systems:
        if system not in SYSTEMS:
            raise UserError(f"there is no system '{system}' to make plugins for", f"There are {', '.join(SYSTEMS)}.")
    return [target for system in systems for target in SYSTEMS[system]] or [this_machine()]


def check_formats(kinds: Sequence[str], targets: Iterable[str]) -> None:
    """Raise `UserError` for a format that there is not, or not on any of the targets."""
    possible = {kind for target in targets for kind in formats_for(target)}
    for kind in kinds:
        if kind not in PLUGIN_FORMATS:
            raise UserError(f"there is no plugin format '{kind}'", f"There are {', '.join(PLUGIN_FORMATS)}.")
        if kind not in possible:
            raise UserError(f"there is no {kind} for these systems", "LV2 is for linux alone; leave it out.")


def export_plugins(amp: PluginAmp, place: Path, kinds: Sequence[str], systems: Sequence[str]) -> list[Path]:
    """Write an amp as plugins and return their paths.

    Args:
        amp: what to write.
        place: the folder to write in; with `systems` each target has a folder in it.
        kinds: of `PLUGIN_FORMATS`; none are all that a target has.
        systems: of `SYSTEMS`; none are this machine.

    Raises `UserError` for a format or a system that there is not, and where there is no compiler.
    """
    targets = targets_of(systems)
    check_formats(kinds, targets)
    return [
        write_plugin(kind, target, place / target if systems else place, amp.stem, amp.data, [amp.file])
        for target in targets
        for kind in formats_for(target)
        if kind in (kinds or PLUGIN_FORMATS)
    ]
