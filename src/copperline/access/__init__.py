"""Who may do what: keys of the HTTP service, and the log of what was done."""

from copperline.access.audit import (
    Action,
    audit_promotion,
    audit_reference_added,
    audit_reference_retired,
    audit_review,
    record,
    record_in,
)
from copperline.access.keys import (
    Key,
    KeyRing,
    create_key,
    find,
    keys_exist,
    list_keys,
    revoke_key,
    scope_text,
    see_key_used,
)
from copperline.access.principals import Principal, Scope
from copperline.access.timeline import Entry, timeline

__all__ = [
    "Action",
    "Entry",
    "Key",
    "KeyRing",
    "Principal",
    "Scope",
    "audit_promotion",
    "audit_reference_added",
    "audit_reference_retired",
    "audit_review",
    "create_key",
    "find",
    "keys_exist",
    "list_keys",
    "record",
    "record_in",
    "revoke_key",
    "scope_text",
    "see_key_used",
    "timeline",
]
