"""User names and passwords in URIs: found, and cut out of every text that a person or a log gets."""

import re

WORD = re.compile(r"[^\s'\"<>]+")

SECRET = re.compile(  # a parameter of a URI that may be a secret, and its value
    r"(?P<name>[?&;](?:[^=&;#\s'\"]*(?:secret|token|passw|credential|signature|access_?key|api_?key)[^=&;#\s'\"]*"
    r"|key|sig|sas|auth)=)(?P<value>[^&;#\s'\"]+)",
    re.IGNORECASE,
)


def has_userinfo(place: str) -> bool:
    """Return whether a URI or `host:port` may hold a user name or a password: an `@`, or a parameter named so.

    Secrets often have a `/`, so a URI's own idea of where its host begins does not count. An `@` of a path is written
    as `%40`. A local path, also as `file:///...`, has no user; `gs://anonymous@BUCKET` is how a public bucket is read.
    """
    scheme, mark, rest = place.partition("://")
    if scheme.lower() == "gs":
        rest = rest.removeprefix("anonymous@")
    if mark and SECRET.search(rest):
        return True
    return "@" in (rest if mark else place) and not (mark and scheme.lower() == "file" and rest.startswith("/"))


def without_userinfo(text: str) -> str:
    """Return a text in which each URI with a user name or a password is cut to `://` and what follows the last `@`.

    Values of parameters that may be secrets become `...`.
    Links such as `https://HOST/@NAME` stay: their `@` is no end of a password.
    """
    if "://" not in text:
        return text
    text = SECRET.sub(r"\g<name>...", text)
    return WORD.sub(_cut, text) if "@" in text else text


def _cut(word: re.Match[str]) -> str:
    scheme, mark, rest = word[0].partition("://")
    _, _, after = rest.rpartition("@")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    host, colon, port = authority.partition(":")
    link = scheme.lower().endswith(("http", "https")) and (not colon or port.isdigit())
    holds = "@" in authority or (bool(colon) and bool(host) and not link)
    return f"{scheme}{mark}{after}" if mark and "@" in rest and holds else word[0]
