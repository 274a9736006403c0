"""What errors of storage clients mean, in our words; their own name operations, request numbers and source files."""

import os
import re

CODE = re.compile(r"(?:AWS Error |google::cloud::Status\()(?P<name>\w+)(?: \(HTTP status (?P<status>\d+)\))?")

NO_BUCKET, DENIED, SILENT = "its bucket does not exist", "access is denied", "its server does not answer"

EXPIRED, CLOCK = "its credentials have expired", "the clock of this machine is wrong, or its credentials have expired"

BUSY, FAILING = "its server asks us to wait", "its server fails at the moment"

OTHER_REGION = "its bucket is in another region, which the environment states (AWS_REGION), or ?region= of the URI"

REFUSED = "it refuses us: the credentials may have expired, or its bucket be in another region (AWS_REGION)"

STORAGE_CODES = {  # as pyarrow reports them for S3 and for Google; numbers are HTTP's, where S3 has no code
    "NO_SUCH_BUCKET": NO_BUCKET,
    "ACCESS_DENIED": DENIED,
    "EXPIRED_TOKEN": EXPIRED,
    "REQUEST_EXPIRED": CLOCK,
    "REQUEST_TIME_TOO_SKEWED": CLOCK,
    "SLOW_DOWN": BUSY,
    "THROTTLING": BUSY,
    "RESOURCE_EXHAUSTED": BUSY,
    "INTERNAL": FAILING,
    "INTERNAL_FAILURE": FAILING,
    "SERVICE_UNAVAILABLE": FAILING,
    "INVALID_ACCESS_KEY_ID": DENIED,
    "INVALID_CLIENT_TOKEN_ID": DENIED,
    "INVALID_SIGNATURE": DENIED,
    "MISSING_AUTHENTICATION_TOKEN": DENIED,
    "PERMISSION_DENIED": DENIED,
    "SIGNATURE_DOES_NOT_MATCH": DENIED,
    "UNAUTHENTICATED": DENIED,
    "UNRECOGNIZED_CLIENT": DENIED,
    "301": OTHER_REGION,
    "400": REFUSED,  # without more where only the head of a file was asked for
    "401": DENIED,
    "403": DENIED,
    "429": BUSY,
    "500": FAILING,
    "502": FAILING,
    "503": FAILING,
    "504": SILENT,
    "DEADLINE_EXCEEDED": SILENT,
    "REQUEST_TIMEOUT": SILENT,
    "NETWORK_CONNECTION": SILENT,
    "UNAVAILABLE": SILENT,
}

TEXTS = {  # where there is no code, or one that says less
    "OAuth2 access token": "this machine has no credentials for it",
    "ExpiredToken": EXPIRED,
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
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
        return STORAGE_CODES.get(found["name"]) or STORAGE_CODES.get(found["status"]) or UNKNOWN
    return os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else UNKNOWN
