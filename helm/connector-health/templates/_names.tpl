{{/* The chart's name in labels. */}}
{{- define "connector-health.name" -}}
{{- default "connector-health" .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The beginning of every object's name. 40 characters leave room for what is added, 63 being the limit. */}}
{{- define "connector-health.fullname" -}}
{{- $name := include "connector-health.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Ours win over commonLabels: selectors look for them. */}}
{{- define "connector-health.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $own := dict "helm.sh/chart" $chart "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $own (include "connector-health.selector" . | fromYaml) (.Values.commonLabels | default dict) | toYaml -}}
{{- end -}}

{{/* What tells this release's pods from all others; never changes. In quotes: a name may look like a number or like `no`. */}}
{{- define "connector-health.selector" -}}
app.kubernetes.io/name: {{ include "connector-health.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "connector-health.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "connector-health.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "connector-health.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
