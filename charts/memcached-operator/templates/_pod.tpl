{{/* Constraints as given, each with the operator's pods as its selector where it has none. By default: over nodes, softly. */}}
{{- define "memcached-operator.topologySpread" -}}
{{- $selector := dict "matchLabels" (include "memcached-operator.selectorLabels" . | fromYaml) }}
{{- $default := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" }}
{{- $constraints := list }}
{{- range default (list $default) .Values.topologySpreadConstraints }}
{{- if not (hasKey . "labelSelector") }}
{{- $constraints = append $constraints (merge (dict "labelSelector" $selector) .) }}
{{- else }}
{{- $constraints = append $constraints . }}
{{- end }}
{{- end }}
{{- toYaml $constraints }}
{{- end }}

{{/* The settings file of the operator; `python -m memcached_operator --help` tells what each means. */}}
{{- define "memcached-operator.settings" -}}
logLevel: {{ .Values.log.level }}
logFormat: {{ .Values.log.format }}
workers: {{ .Values.workers }}
resyncPeriod: {{ .Values.resyncPeriodSeconds }}
rolloutOnUpgrade: {{ .Values.operator.rolloutOnUpgrade }}
{{- /* What the kubelet grants, less the pause before a webhook server stops and a moment to spare. */}}
gracePeriod: {{ sub .Values.terminationGracePeriodSeconds (ternary 8 3 .Values.webhook.enabled) }}
leaderElect: {{ .Values.leaderElection.enabled }}
leaderElectionId: {{ include "memcached-operator.fullname" . }}-leader
leaseDuration: {{ .Values.leaderElection.leaseDurationSeconds }}
renewDeadline: {{ .Values.leaderElection.renewDeadlineSeconds }}
retryPeriod: {{ .Values.leaderElection.retryPeriodSeconds }}
healthProbeBindAddress: ":8081"
metricsBindAddress: {{ ternary (printf ":%d" (int .Values.metrics.port)) "0" .Values.metrics.enabled | quote }}
metricsSecure: {{ .Values.metrics.secure }}
{{- if and .Values.metrics.enabled .Values.metrics.existingSecret }}
metricsCertDir: {{ include "memcached-operator.metricsCertDir" . }}
{{- end }}
{{- if .Values.webhook.enabled }}
webhookBindAddress: ":{{ .Values.webhook.port }}"
webhookCertDir: {{ include "memcached-operator.webhookCertDir" . }}
{{- if .Values.webhook.certificates.operatorManaged.enabled }}
webhookSecret: {{ include "memcached-operator.webhookSecret" . }}
webhookService: {{ include "memcached-operator.webhookService" . }}
{{- $fullname := include "memcached-operator.fullname" . }}
webhookConfigurations: mutatingwebhookconfigurations/{{ $fullname }},validatingwebhookconfigurations/{{ $fullname }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where OLM mounts a certificate for webhooks, and where the operator looks by default. */}}
{{- define "memcached-operator.webhookCertDir" -}}
/tmp/k8s-webhook-server/serving-certs
{{- end }}

{{- define "memcached-operator.metricsCertDir" -}}
/tmp/k8s-metrics-server/serving-certs
{{- end }}
