"""Controllers on Kopf's event streams that behave like controller-runtime's."""

from kopf_sdk.runtime.apply import Action, Applied, ApplyError, Change, ForeignObjectError, Problem
from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.controller import Controller, Result, Watch, by_label
from kopf_sdk.runtime.errors import ApiError, TerminalError
from kopf_sdk.runtime.forward import forwarded
from kopf_sdk.runtime.kinds import Kind, Manifest
from kopf_sdk.runtime.manager import ExitCode, Manager
from kopf_sdk.runtime.operator_condition import Hold
from kopf_sdk.runtime.permissions import Permission
from kopf_sdk.runtime.reader import Reader
from kopf_sdk.runtime.request import Request
from kopf_sdk.runtime.settings import Settings, setting
from kopf_sdk.runtime.webhook import Conversion, Defaulting, DeniedError, Validating, Webhook

__all__ = [
    "Action",
    "ApiError",
    "Applied",
    "ApplyError",
    "Change",
    "Client",
    "Controller",
    "Conversion",
    "Defaulting",
    "DeniedError",
    "ExitCode",
    "ForeignObjectError",
    "Hold",
    "Kind",
    "Manager",
    "Manifest",
    "Permission",
    "Problem",
    "Reader",
    "Request",
    "Result",
    "Settings",
    "TerminalError",
    "Validating",
    "Watch",
    "Webhook",
    "by_label",
    "forwarded",
    "setting",
]
