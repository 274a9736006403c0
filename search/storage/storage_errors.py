"""What errors of storage clients mean, in our words; their own name operations, request numbers and source files."""

import os
import re

CODE = re.compile(r"(?:AWS Error |google::cloud::Status\()(?P<name>\w+)(?: \(HTTP status (?P<status>\d+)\))?")

NO_BUCKET, DENIED, SILENT = "its bucket does not exist", "access is denied", "its server does not answer"

STORAGE_CODES = {  # as pyarrow reports them for S3 and for Google; numbers are HTTP's, where S3 has no code
    "NO_SUCH_BUCKET": NO_BUCKET,
    "ACCESS_DENIED": DENIED,
    "INVALID_ACCESS_KEY_ID": DENIED,
    "INVALID_CLIENT_TOKEN_ID": DENIED,
    "INVALID_SIGNATURE": DENIED,
    "MISSING_AUTHENTICATION_TOKEN": DENIED,
    "PERMISSION_DENIED": DENIED,
    "SIGNATURE_DOES_NOT_MATCH": DENIED,
    "UNAUTHENTICATED": DENIED,
    "UNRECOGNIZED_CLIENT": DENIED,
    "401": DENIED,
    "403": DENIED,
    "DEADLINE_EXCEEDED": SILENT,
    "NETWORK_CONNECTION": SILENT,
    "UNAVAILABLE": SILENT,
}

TEXTS = {  # where there is no code, or one that says less
    "OAuth2 access token": "this machine has no credentials for it",
    "Cannot parse URI": "it is not written as a URI; a space, for example, is %20",
    "Unrecognized filesystem type": "only s3://, gs:// and file:// are known",
    "Unexpected query parameter": "its query has an option that does not exist",
}


UNKNOWN = "its storage gives a reason that is not known here"


def storage_reason(problem: BaseException) -> str:
    """Return what an error of a storage client means, `UNKNOWN` where that is not known; never the client's words."""
    message = str(problem)
    for text, words in TEXTS.items():
        if text in message:
            return words
    if found := CODE.search(message):
        known = STORAGE_CODES.get(found["name"]) or STORAGE_CODES.get(found["status"])
        return known or f"the storage answers {found['name']}"
    return os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else UNKNOWN
