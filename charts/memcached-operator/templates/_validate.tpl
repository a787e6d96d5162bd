{{/*
Combinations of values that the schema cannot refuse and that cannot work. Each ends the installation with a sentence
that says what to change.
*/}}
{{- define "memcached-operator.validate" -}}
{{- $values := .Values }}

{{- $fullname := include "memcached-operator.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) }}
{{- fail (printf "\n\n%s, from the name of the release, cannot be the name of a Service: choose another name, or set fullnameOverride to lower-case letters, digits and -, a letter first" $fullname) }}
{{- end }}

{{- with $values.operand.memcached.image }}
{{- if not (or .tag .digest) }}
{{- fail "\n\noperand.memcached.image has neither tag nor digest: set operand.memcached.image.tag, or operand.memcached.image.digest" }}
{{- end }}
{{- end }}

{{- if and (gt (int $values.replicas) 1) (not $values.leaderElection.enabled) }}
{{- fail (printf "\n\nreplicas=%d needs leader election, or all replicas act at once: set leaderElection.enabled=true, or replicas=1" (int $values.replicas)) }}
{{- end }}

{{- with $values.leaderElection }}
{{- if not (and (gt (int .leaseDurationSeconds) (int .renewDeadlineSeconds)) (gt (int .renewDeadlineSeconds) (int .retryPeriodSeconds))) }}
{{- fail (printf "\n\nleaderElection: leaseDurationSeconds (%v) must be more than renewDeadlineSeconds (%v), and that more than retryPeriodSeconds (%v)" .leaseDurationSeconds .renewDeadlineSeconds .retryPeriodSeconds) }}
{{- end }}
{{- end }}

{{- if not (or $values.serviceAccount.create $values.serviceAccount.name) }}
{{- fail "\n\nserviceAccount.create=false needs the name of an existing ServiceAccount: set serviceAccount.name, or serviceAccount.create=true" }}
{{- end }}

{{- if $values.webhook.enabled }}
{{- $sources := list }}
{{- with $values.webhook.certificates }}
{{- if .operatorManaged.enabled }}{{ $sources = append $sources "operatorManaged.enabled" }}{{ end }}
{{- if .certManager.enabled }}{{ $sources = append $sources "certManager.enabled" }}{{ end }}
{{- if .existingSecret.name }}{{ $sources = append $sources "existingSecret.name" }}{{ end }}
{{- end }}
{{- if not $sources }}
{{- fail "\n\nwebhook.enabled=true needs a certificate: set one of webhook.certificates.operatorManaged.enabled=true, webhook.certificates.certManager.enabled=true, webhook.certificates.existingSecret.name" }}
{{- end }}
{{- if gt (len $sources) 1 }}
{{- fail (printf "\n\nwebhook.certificates: %s are set, but a certificate has one source: keep one of them" (join " and " $sources)) }}
{{- end }}
{{- end }}
{{- if and $values.webhook.certificates.existingSecret.caBundle (not $values.webhook.certificates.existingSecret.name) }}
{{- fail "\n\nwebhook.certificates.existingSecret.caBundle is set without the Secret it belongs to: set webhook.certificates.existingSecret.name, or leave caBundle empty" }}
{{- end }}

{{- if not $values.metrics.enabled }}
{{- range $part := list "serviceMonitor" "prometheusRule" }}
{{- if (index $values.metrics $part).enabled }}
{{- fail (printf "\n\nmetrics.%s.enabled=true has nothing to work on with metrics.enabled=false: set metrics.enabled=true, or metrics.%s.enabled=false" $part $part) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $values.metrics.existingSecret (not $values.metrics.secure) }}
{{- fail "\n\nmetrics.existingSecret is a certificate, but metrics.secure=false serves plain HTTP: set metrics.secure=true, or leave metrics.existingSecret empty" }}
{{- end }}

{{- $ports := dict "8081" "the health probes" }}
{{- if $values.metrics.enabled }}
{{- include "memcached-operator.validatePort" (list $ports "metrics.port" $values.metrics.port) }}
{{- end }}
{{- if $values.webhook.enabled }}
{{- include "memcached-operator.validatePort" (list $ports "webhook.port" $values.webhook.port) }}
{{- end }}

{{- with $values.podDisruptionBudget }}
{{- $unset := list nil "" }}
{{- if and .enabled (not (has .minAvailable $unset)) (not (has .maxUnavailable $unset)) }}
{{- fail "\n\npodDisruptionBudget: minAvailable and maxUnavailable exclude each other: leave one of them empty" }}
{{- end }}
{{- $blocks := regexMatch "^0+%?$" (toString .maxUnavailable) }}
{{- if not (has .minAvailable $unset) }}
{{- $least := trimSuffix "%" (toString .minAvailable) | atoi }}
{{- if hasSuffix "%" (toString .minAvailable) }}
{{- /* Of a part of a pod Kubernetes makes a whole one. */}}
{{- $least = divf (mul $least (int $values.replicas)) 100 | ceil }}
{{- end }}
{{- $blocks = ge (int $least) (int $values.replicas) }}
{{- end }}
{{- if and .enabled $blocks (gt (int $values.replicas) 0) }}
{{- fail (printf "\n\npodDisruptionBudget with replicas=%d would block every drain of a node for ever: lower minAvailable, or raise maxUnavailable or replicas" (int $values.replicas)) }}
{{- end }}
{{- end }}

{{- $reserved := include "memcached-operator.selectorLabels" . | fromYaml }}
{{- range $name := list "commonLabels" "podLabels" }}
{{- range $label, $_ := index $values $name }}
{{- if hasKey $reserved $label }}
{{- fail (printf "\n\n%s: the label %s selects the operator's pods and cannot be set: remove it" $name $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- $objects := dict "commonLabels" $values.commonLabels }}
{{- range $part := list "service" "serviceMonitor" "prometheusRule" "dashboard" }}
{{- $_ := set $objects (printf "metrics.%s.labels" $part) (index $values.metrics $part).labels }}
{{- end }}
{{- range $name, $labels := $objects }}
{{- range $label, $_ := $labels }}
{{- if or (hasKey $reserved $label) (has $label (list "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart")) }}
{{- fail (printf "\n\n%s: the label %s is set by the chart: remove it" $name $label) }}
{{- end }}
{{- end }}
{{- end }}

{{- if hasKey (default (dict) $values.crds.annotations) "helm.sh/resource-policy" }}
{{- fail "\n\ncrds.annotations: helm.sh/resource-policy is decided by the value crds.keep: set that, and remove the annotation" }}
{{- end }}

{{- $own := dict "WATCH_NAMESPACE" "watch.namespaces" "ENABLE_WEBHOOKS" "webhook.enabled" "RELATED_IMAGE_MEMCACHED" "operand.memcached.image" "RELATED_IMAGE_OPERATOR" "image" }}
{{- range $variable := $values.extraEnv }}
{{- with get $own $variable.name }}
{{- fail (printf "\n\nextraEnv: %s is decided by the value %s: set that, and remove it from extraEnv" $variable.name .) }}
{{- end }}
{{- if hasPrefix "POD_" $variable.name }}
{{- fail (printf "\n\nextraEnv: %s is set by the chart from the pod itself: remove it from extraEnv" $variable.name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* (list taken name port): fails if the port is taken, notes it otherwise. */}}
{{- define "memcached-operator.validatePort" -}}
{{- $taken := index . 0 }}
{{- $port := index . 2 | int | toString }}
{{- with get $taken $port }}
{{- fail (printf "\n\n%s=%s is the port of %s too: choose another one" (index $ 1) $port .) }}
{{- end }}
{{- $_ := set $taken $port (index . 1) }}
{{- end }}
