{{/*
For charts that have this one as a dependency (with mode: sidecar), and for NOTES.txt:

  containers:
    {{- include "connector-health.sidecar" (index .Subcharts "connector-health") | nindent 4 }}
  volumes:
    {{- include "connector-health.sidecar.volumes" (index .Subcharts "connector-health") | nindent 4 }}

Both take the chart's scope, or {scope, remoteNetwork} where remoteNetworks lists several.
*/}}
{{- define "connector-health.sidecar" -}}
{{- $of := include "connector-health.sidecar.of" . | fromJson -}}
{{- $scope := .scope | default . -}}
- {{ include "connector-health.container" (dict "scope" $scope "sidecar" true "fullname" $of.fullname) | nindent 2 | trim }}
{{- end -}}

{{- define "connector-health.sidecar.volumes" -}}
{{- $of := include "connector-health.sidecar.of" . | fromJson -}}
{{- $scope := .scope | default . -}}
{{- include "connector-health.volumes" (dict "scope" $scope "sidecar" true "fullname" $of.fullname) }}
{{- end -}}

{{/* Which of the daemons: the one that is named, else the first. */}}
{{- define "connector-health.sidecar.of" -}}
{{- $wanted := .remoteNetwork | default "" -}}
{{- $scope := .scope | default . -}}
{{- if ne $scope.Values.mode "sidecar" -}}
{{- fail (printf "connector-health.sidecar: set mode: sidecar, got %s" $scope.Values.mode) -}}
{{- end -}}
{{- $found := dict -}}
{{- range (include "connector-health.daemons" $scope | fromJsonArray) -}}
{{- if and (empty $found) (or (empty $wanted) (eq .name $wanted)) -}}
{{- $found = . -}}
{{- end -}}
{{- end -}}
{{- if empty $found -}}
{{- fail (printf "connector-health.sidecar: remoteNetworks has no %s" $wanted) -}}
{{- end -}}
{{- toJson (pick $found "name" "fullname") -}}
{{- end -}}
