"""Secrets stay in: one function, `redact`, that every text passes on its way out.

Two nets, one behind the other. Every value that is looked up for a ``${REFERENCE}``, or given where a secret
belongs, is *known* from then on in this process, and is taken out of texts whatever form a library has
brought it into (`known`). What nobody has told us of is found by the place where it stands (`text`).
"""

from catalog.redaction.errors import redact_error, watch_errors, watch_logs
from catalog.redaction.known import forgetting, register, register_options, register_url
from catalog.redaction.names import is_harmless_option, is_secret_name
from catalog.redaction.text import HIDDEN, holds_secret, redact, redact_values

__all__ = [
    "HIDDEN",
    "forgetting",
    "holds_secret",
    "is_harmless_option",
    "is_secret_name",
    "redact",
    "redact_error",
    "redact_values",
    "register",
    "register_options",
    "register_url",
    "watch_errors",
    "watch_logs",
]
