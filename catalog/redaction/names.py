"""Names of settings, options and parameters: which of them hold nothing secret.

Lists of secret names are never complete, so the lists here are of the harmless ones.
"""

import re
from functools import lru_cache
from typing import Final

__all__ = ["SECRET_NAME", "is_harmless_option", "is_harmless_parameter", "is_secret_name"]

_PLAIN: Final = (
    r"(?:passw(?:or)?d|passphrase|passcode|secrets?|tokens?|credentials?|signature|authorization|connection[_-]?string"
    r"|(?:api|access|account|private|shared|subscription|service|signing|encryption|master|license)"
    r"[_-]?keys?(?:[_-]?id)?)"
)
_SHORT: Final = r"(?:pass|pwd|sig|sas|auth|cookie|bearer|jwt|session[_-]?id|secret[_-]?keys?)"

SECRET_NAME: Final = rf"(?:[\w.-]*{_PLAIN}|(?:[\w.-]*[_.-])?{_SHORT})"
"""A name that ends like that of a secret; the shorter endings begin a word of their own (no ``compass``)."""

_SECRET: Final = re.compile(SECRET_NAME, re.IGNORECASE)

_PARAMETERS: Final = """
appname authmechanism authsource batch compressors connecttimeoutms day delimiter directconnection
filename format heartbeatfrequencyms journal limit list-type max-keys maxidletimems maxpoolsize
minpoolsize mode month offset partnumber prefix readconcernlevel readpreference region replicaset
retryreads retrywrites serverselectiontimeoutms site small sockettimeoutms srvmaxhosts ssl timeoutms tls
uploads versioning w waitqueuetimeoutms wtimeoutms x-amz-algorithm x-amz-date x-amz-expires
x-amz-signedheaders year zlibcompressionlevel
"""
_HARMLESS_PARAMETERS: Final = frozenset(_PARAMETERS.split())

_OPTIONS: Final = """
account acl adapt addressing_style allow_agent anon asynchronous auto_mkdir block_size cache_regions
cache_type client_kwargs config_kwargs connect_options connect_timeout connect_timeouts consistency_kind
cores cpu dashboard_address default_block_size default_cache_type default_fill_cache endpoint_url
fixed_upload_size gzip host hostname hosts image interface job_cpu keepalive key_filename known_hosts
kwargs limits local_directory look_for_keys max_attempts max_concurrency max_pool_connections maximum
memory minimum mode n_workers name namespace nanny nodes nthreads parallel partition passive port
processes project python qos queue read_timeout region region_name requester_pays requests resources
retries root s3 scheduler_options scheme shebang signature_version skip_instance_cache ssl sslcert_path
threads_per_worker timeout tls total_max_attempts use_listings_cache use_ssl user username verify
version_aware walltime worker_options
"""
_HARMLESS_OPTIONS: Final = frozenset(_OPTIONS.split())


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Tell by its name that something is a secret: ``aws_session_token``, ``NAS_SECRET_KEY``, ``sig``."""
    return bool(_SECRET.fullmatch(name))


def is_harmless_parameter(name: str) -> bool:
    """Tell that a parameter of a URL's query may be shown."""
    return name.lower() in _HARMLESS_PARAMETERS


def is_harmless_option(name: str) -> bool:
    """Tell that an argument of a file system or a cluster may be shown."""
    return name.lower().replace("-", "_") in _HARMLESS_OPTIONS
