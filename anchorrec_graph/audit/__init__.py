"""Audit: exposure, accuracy, popularity and calibration by groups of items and of users."""

from anchorrec_graph.audit.audit import About, Audit, audit, audit_models
from anchorrec_graph.audit.formats import as_json, check_out, markdown, write_audit
from anchorrec_graph.audit.limits import Check, LimitExceeded, Limits, Rule, check_limits
from anchorrec_graph.audit.runs import Audited

__all__ = [
    "About",
    "Audit",
    "Audited",
    "Check",
    "LimitExceeded",
    "Limits",
    "Rule",
    "as_json",
    "audit",
    "audit_models",
    "check_limits",
    "check_out",
    "markdown",
    "write_audit",
]
