{{- define "memcached-operator.webhookAnnotations" -}}
{{- $own := dict }}
{{- if .Values.webhook.certificates.certManager.enabled }}
{{- $certificate := printf "%s/%s" .Release.Namespace (include "memcached-operator.webhookSecret" .) }}
{{- $own = dict "cert-manager.io/inject-ca-from" $certificate }}
{{- end }}
{{- with merge $own (default (dict) .Values.webhook.annotations) }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The user's selector, and the watched namespaces where there is a list of them. */}}
{{- define "memcached-operator.webhookNamespaceSelector" -}}
{{- $selector := deepCopy (default (dict) .Values.webhook.namespaceSelector) }}
{{- with .Values.watch.namespaces }}
{{- $watched := dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" . }}
{{- $_ := set $selector "matchExpressions" (append (default (list) $selector.matchExpressions) $watched) }}
{{- end }}
{{- with $selector }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "memcached-operator.webhookMetadata" -}}
name: {{ include "memcached-operator.fullname" . }}
labels:
  {{- include "memcached-operator.labels" . | nindent 2 }}
{{- with include "memcached-operator.webhookAnnotations" . }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* All but the name of one webhook: dict "root" $ "path" … "operations" (list …) */}}
{{- define "memcached-operator.webhook" -}}
{{- with .root -}}
admissionReviewVersions: [v1]
sideEffects: None
failurePolicy: {{ .Values.webhook.failurePolicy }}
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
clientConfig:
  service:
    name: {{ include "memcached-operator.webhookService" . }}
    namespace: {{ .Release.Namespace }}
    path: {{ $.path }}
    port: 443
  {{- with .Values.webhook.certificates.existingSecret.caBundle }}
  caBundle: {{ b64enc . }}
  {{- end }}
rules:
  - apiGroups: [cache.example.com]
    apiVersions: [v1alpha1]
    resources: [memcacheds]
    operations: {{ toJson $.operations }}
    scope: Namespaced
{{- with include "memcached-operator.webhookNamespaceSelector" . }}
namespaceSelector:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.webhook.objectSelector }}
objectSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
