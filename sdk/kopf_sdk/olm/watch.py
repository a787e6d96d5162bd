"""Waiting for OLM, as long as there is hope: the first sign that something will not come about ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

from kopf_sdk.errors import SdkError
from kopf_sdk.olm.view import KINDS, Trouble, View
from kopf_sdk.testing.cluster.kubectl import Kubectl, KubectlError

__all__ = ["GRACE", "InstallFailedError", "Watch"]

GRACE = 30.0
"""Seconds for which OLM may say the same about a trouble that it can get over by itself, or the API server nothing."""
_POLL = 0.4


class InstallFailedError(SdkError):
    """OLM did not install it; `message` says why in its words."""


class Watch:
    """Looks at one version of a package in one namespace.

    Parameters
    ----------
    timeout
        Seconds for all that is waited for, from now.
    """

    def __init__(self, cluster: Kubectl, namespace: str, *, package: str, csv: str, timeout: float) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._package, self._csv = package, csv
        self._timeout = timeout
        self._end = time.monotonic() + timeout
        self._since: tuple[str, float] = ("", 0.0)

    def look(self) -> View:
        """Return the namespace as it is now."""
        return View(self._namespace, self._cluster.get(",".join(KINDS), "--namespace", self._namespace)["items"])

    def until(self, done: Callable[[View], bool]) -> View:
        """Wait until something holds and return the namespace as it was then.

        Raises
        ------
        InstallFailedError
            It will not come about, or not in time: with the step and the pod where it stopped, and its events.
        """
        answered = time.monotonic()
        while True:
            try:
                view = self.look()
            except KubectlError:
                if time.monotonic() > min(answered + GRACE, self._end):
                    raise
                time.sleep(_POLL)
                continue
            answered = time.monotonic()
            if done(view):
                return view
            trouble = view.trouble(package=self._package, csv=self._csv)
            if trouble is not None and (trouble.final or self._stays(trouble)):
                self._give_up(trouble)
            if time.monotonic() > self._end:
                waiting = view.waits_for(package=self._package, csv=self._csv)
                self._give_up(trouble or Trouble(waiting), after=f" after {self._timeout:.0f} s")
            time.sleep(_POLL)

    def until_succeeded(self) -> View:
        """Wait until the version has succeeded, and the subscription counts it as installed."""
        return self.until(self._succeeded)

    def _succeeded(self, view: View) -> bool:
        subscription = view.subscription(self._package) or {}
        installed = (subscription.get("status") or {}).get("installedCSV")
        return view.phase(self._csv) == "Succeeded" and installed == self._csv

    def _stays(self, trouble: Trouble) -> bool:
        if self._since[0] != trouble.text:
            self._since = (trouble.text, time.monotonic())
        return time.monotonic() - self._since[1] > GRACE

    def _give_up(self, trouble: Trouble, *, after: str = "") -> NoReturn:
        # Of an image that cannot be pulled the pod's state has said everything.
        details = self._about(trouble.pod) if trouble.pod and not trouble.pull else ""
        look = f"kubectl --namespace {self._namespace} get subscriptions,installplans,csv,pods"
        raise InstallFailedError(
            f"{self._csv} is not installed{after}: {trouble.text}{details}", hint=trouble.hint or look
        )

    def _about(self, pod: str) -> str:
        """The last lines of what ended in a pod, and the last warnings about it."""
        where = ("--namespace", self._namespace)
        said: list[str] = []
        try:
            logs = self._cluster.kubectl("logs", pod, *where, "--previous", "--all-containers", "--tail=5")
            said += [f"  its log: {line}" for line in logs.splitlines()[-5:]]
        except KubectlError:
            pass  # nothing has ended in it
        selector = f"involvedObject.name={pod},type=Warning"
        events = self._cluster.get("events", *where, "--field-selector", selector)["items"]
        said += [f"  event {event['reason']}: {event['message']}" for event in events[-3:]]
        return "".join(f"\n{line}" for line in dict.fromkeys(said))
