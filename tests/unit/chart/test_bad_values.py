"""Every wrong value ends the installation with a sentence that names it and says what to change, in Helm 3 and 4."""

from __future__ import annotations

import pytest

from unit.chart.helm import CHART, refusal, template

MANAGED = "webhook.enabled=true,webhook.certificates.operatorManaged.enabled=true"

CASES = {
    # Unknown keys
    "replica=2": "additional properties 'replica' not allowed",
    "image.tga=x": "at '/image': additional properties 'tga' not allowed",
    "metrics.serviceMonitor.enable=true": "at '/metrics/serviceMonitor': additional properties 'enable' not allowed",
    "webhook.certificates.selfSigned=true": "at '/webhook/certificates': additional properties 'selfSigned'",
    "webhook.namespaceSelector.labels.a=b": "at '/webhook/namespaceSelector': additional properties 'labels'",
    "operand.memcached.image.pullPolicy=Always": "additional properties 'pullPolicy' not allowed",
    # Types and ranges
    "replicas=two": "at '/replicas': got string, want integer",
    "replicas=-1": "at '/replicas': minimum: got -1, want 0",
    "crds.keep=yes": "at '/crds/keep': got string, want boolean",
    "podLabels.number=1": "at '/podLabels/number': got number, want string",
    "watch.namespaces=shop": "at '/watch/namespaces': got string, want array",
    "watch.namespaces={shop,shop}": "at '/watch/namespaces': items at 0 and 1 are equal",
    "watch.namespaces={Shop}": "at '/watch/namespaces/0': 'Shop' does not match pattern",
    "image.digest=sha256:12": "at '/image/digest': 'sha256:12' does not match pattern",
    "image.repository=host/name:tag": "at '/image/repository': 'host/name:tag' does not match pattern",
    "image.pullPolicy=always": "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
    "log.level=trace": "at '/log/level': value must be one of 'debug', 'info', 'warning', 'error'",
    "webhook.failurePolicy=fail": "at '/webhook/failurePolicy': value must be one of 'Fail', 'Ignore'",
    "webhook.timeoutSeconds=60": "at '/webhook/timeoutSeconds': maximum: got 60, want 30",
    "metrics.port=443": "at '/metrics/port': minimum: got 443, want 1,024",
    "metrics.serviceMonitor.interval=30": "at '/metrics/serviceMonitor/interval': got number, want string",
    "metrics.prometheusRule.disabled={Nothing}": "at '/metrics/prometheusRule/disabled/0': value must be one of",
    "leaderElection.leaseDurationSeconds=15s": "at '/leaderElection/leaseDurationSeconds': got string, want integer",
    "webhook.certificates.existingSecret.caBundle=LS0tLS1CRUdJTg==": "'/webhook/certificates/existingSecret/caBundle'",
    "extraArgs={workers=3}": "at '/extraArgs/0': 'workers=3' does not match pattern",
    "fullnameOverride=Caches": "at '/fullnameOverride': 'Caches' does not match pattern",
    "global.imageRegistry=https://mirror": "at '/global/imageRegistry': 'https://mirror' does not match pattern",
    # null takes a default away: of text, lists and maps nothing is left, of the others something must be said
    "log.level=null": "at '/log': missing property 'level'",
    "terminationGracePeriodSeconds=null": "missing property 'terminationGracePeriodSeconds'",
    "metrics.service=null": "at '/metrics': missing property 'service'",
    "networkPolicy.apiServerPorts=null": "at '/networkPolicy': missing property 'apiServerPorts'",
    # Combinations
    "replicas=2,leaderElection.enabled=false": "set leaderElection.enabled=true, or replicas=1",
    "leaderElection.renewDeadlineSeconds=20": "leaseDurationSeconds (15) must be more than renewDeadlineSeconds (20)",
    "leaderElection.retryPeriodSeconds=10": "and that more than retryPeriodSeconds (10)",
    "serviceAccount.create=false": "set serviceAccount.name, or serviceAccount.create=true",
    "webhook.enabled=true": "webhook.enabled=true needs a certificate: set one of",
    f"{MANAGED},webhook.certificates.certManager.enabled=true": (
        "operatorManaged.enabled and certManager.enabled are set, but a certificate has one source: keep one of them"
    ),
    f"{MANAGED},webhook.certificates.existingSecret.name=x": "operatorManaged.enabled and existingSecret.name are set",
    "metrics.enabled=false,metrics.serviceMonitor.enabled=true": "metrics.serviceMonitor.enabled=true has nothing",
    "metrics.enabled=false,metrics.prometheusRule.enabled=true": "metrics.prometheusRule.enabled=true has nothing",
    "metrics.secure=false,metrics.existingSecret=x": "set metrics.secure=true, or leave metrics.existingSecret empty",
    "metrics.port=8081": "metrics.port=8081 is the port of the health probes too: choose another one",
    f"{MANAGED},webhook.port=8443": "webhook.port=8443 is the port of metrics.port too: choose another one",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=1": "would block every drain",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.maxUnavailable=0": "would block every drain",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=50%": "would block every drain",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=51%,replicas=2": "would block every drain",
    "operand.memcached.image.tag=": "set operand.memcached.image.tag, or operand.memcached.image.digest",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.maxUnavailable=1,podDisruptionBudget.minAvailable=1": (
        "minAvailable and maxUnavailable exclude each other"
    ),
    r"podLabels.app\.kubernetes\.io/name=x": "podLabels: the label app.kubernetes.io/name selects the operator's pods",
    r"commonLabels.helm\.sh/chart=x": "commonLabels: the label helm.sh/chart is set by the chart",
    r"metrics.service.labels.app\.kubernetes\.io/name=x": (
        "metrics.service.labels: the label app.kubernetes.io/name is set by the chart"
    ),
    r"crds.annotations.helm\.sh/resource-policy=keep": "helm.sh/resource-policy is decided by the value crds.keep",
    "extraEnv[0].name=WATCH_NAMESPACE": "WATCH_NAMESPACE is decided by the value watch.namespaces",
    "extraEnv[0].name=POD_NAME": "POD_NAME is set by the chart from the pod itself",
}


@pytest.mark.parametrize("values", CASES)
def test_a_wrong_value_is_refused_with_what_to_change(values: str) -> None:
    assert CASES[values] in refusal("--set", values)


@pytest.mark.parametrize("values", ["replica=2", "replicas=two", "image.digest=sha256:12", "webhook.enabled=true"])
def test_helm_4_refuses_each_sort_with_the_same_words(values: str) -> None:
    assert CASES[values] in refusal("--set", values, helm="helm4")


@pytest.mark.parametrize("release", ["my.cache", "1cache"])
def test_a_release_whose_name_no_service_can_have_is_refused(release: str) -> None:
    assert f"{release}-memcached-operator, from the name of the release, cannot be" in refusal(release=release)


def test_a_subchart_may_be_switched_by_its_parent() -> None:
    assert template("--set", "enabled=true,global.somebodyElses=1") == template()


def test_the_certificate_of_a_source_that_is_not_chosen_is_refused() -> None:
    ca = f"webhook.certificates.existingSecret.caBundle={CHART / '..' / '..' / 'LICENSE'}"
    assert "does not match pattern" in refusal("--set-file", ca)
