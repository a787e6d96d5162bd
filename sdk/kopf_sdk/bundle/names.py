"""Rules for names in Kubernetes (apimachinery `pkg/util/validation`), with its words for what is wrong."""

from __future__ import annotations

import re

__all__ = ["dns1035_label", "dns1123_subdomain", "label_value"]

_LABEL_FMT = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_FMT = rf"{_LABEL_FMT}(\.{_LABEL_FMT})*"
_VALUE_FMT = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_DNS1035_FMT = "[a-z]([-a-z0-9]*[a-z0-9])?"


def dns1123_subdomain(name: str) -> list[str]:
    """Return what keeps a name from being a DNS-1123 subdomain, nothing when it is one."""
    errors = ["must be no more than 253 characters"] if len(name) > 253 else []
    if not re.fullmatch(_SUBDOMAIN_FMT, name):
        errors.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        )
    return errors


def label_value(value: str) -> list[str]:
    """Return what keeps a text from being the value of a label."""
    errors = ["must be no more than 63 characters"] if len(value) > 63 else []
    if not re.fullmatch(_VALUE_FMT, value):
        errors.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
            f"for validation is '{_VALUE_FMT}')"
        )
    return errors


def dns1035_label(name: str) -> list[str]:
    """Return what keeps a name from being a DNS-1035 label."""
    errors = ["must be no more than 63 characters"] if len(name) > 63 else []
    if not re.fullmatch(_DNS1035_FMT, name):
        errors.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            f"validation is '{_DNS1035_FMT}')"
        )
    return errors
