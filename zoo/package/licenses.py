"""The licenses that a hub knows by name."""

import reprlib

from models.core.errors import UserError
from models.core.plain_text import plain_text

_IDENTIFIERS = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc
    cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by openrail osl-3.0
    pddl postgresql unlicense wtfpl zlib other
"""

KNOWN_LICENSES = frozenset(_IDENTIFIERS.split())


def check_license(license_id: object, name: object = "", link: object = "") -> None:
    """Raise `UserError` for a license that no hub knows, or for `other` without its name and link."""
    if not isinstance(license_id, str) or license_id not in KNOWN_LICENSES:
        raise UserError(
            f"{reprlib.repr(license_id)} is not a license identifier that a hub knows",
            "Name one: cc-by-4.0, cc0-1.0, mit ..., or 'other' with its name and link.",
        )
    if license_id == "other" and not all(isinstance(part, str) and part for part in (name, link)):
        raise UserError("the license is 'other', without its name and link", "Give --license-name and --license-link.")


def license_text(title: str, license_id: str, name: str = "", link: str = "") -> str:
    """Write the package's `LICENSE`: the license's name and where its text is."""
    known = f"https://huggingface.co/docs/hub/repositories-licenses ({license_id})"
    where = plain_text(link) if license_id == "other" else known
    return f"{title} is published under {plain_text(name or license_id)}.\n\nThe text of the license: {where}\n"
