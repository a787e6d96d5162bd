{{/* The chart's name. */}}
{{- define "memcached-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* What the names of all objects start with; short enough for every suffix in use. */}}
{{- define "memcached-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "memcached-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "memcached-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (printf "%s-controller-manager" (include "memcached-operator.fullname" .)) .Values.serviceAccount.name }}
{{- else }}
{{- .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Labels that select the operator's pods; they can never change. */}}
{{- define "memcached-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "memcached-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller-manager
{{- end }}

{{- define "memcached-operator.labels" -}}
{{ include "memcached-operator.labelsAnd" (list . dict) }}
{{- end }}

{{/* The same with more of one object, which win over commonLabels: (list $ labels). */}}
{{- define "memcached-operator.labelsAnd" -}}
{{- $more := index . 1 }}
{{- with index . 0 -}}
{{ include "memcached-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with merge (dict) (default (dict) $more) (default (dict) .Values.commonLabels) }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Reference of an image: (dict "image" .Values.image "root" $ "tag" "default tag") */}}
{{- define "memcached-operator.image" -}}
{{- with default .image.registry .root.Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .tag .image.tag }}{{ end }}
{{- end }}

{{/* Name of the Service before the webhooks. */}}
{{- define "memcached-operator.webhookService" -}}
{{ include "memcached-operator.fullname" . }}-webhook
{{- end }}

{{/* Name of the Secret with the certificate of the webhooks, whoever makes it. */}}
{{- define "memcached-operator.webhookSecret" -}}
{{- default (printf "%s-webhook-certificate" (include "memcached-operator.fullname" .)) .Values.webhook.certificates.existingSecret.name }}
{{- end }}

{{/* The operator's ServiceAccount, as the subject of a binding. */}}
{{- define "memcached-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "memcached-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
