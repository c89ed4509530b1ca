{{/*
The container, for this chart's pods and as a sidecar. Takes {scope, sidecar}: `sidecar` true has no readinessProbe,
because it would make the Connector's pod unready, and says itself what this chart's pods say for the whole pod.
*/}}
{{- define "connector-health.container" -}}
{{- $v := .scope.Values -}}
name: {{ ternary $v.sidecar.containerName "connector-health" .sidecar }}
image: {{ include "connector-health.image" .scope | quote }}
imagePullPolicy: {{ $v.image.pullPolicy }}
args: [run, --log.format, {{ $v.log.format }}, --log.level, {{ $v.log.level }}]
env:
  {{- if .sidecar }}
  # The Connector's name in labels and alerts.
  - name: CONNECTOR_HEALTH_POD_LABEL
    valueFrom: {fieldRef: {fieldPath: "metadata.labels['{{ $v.sidecar.nameLabel }}']"}}
  {{- else if eq $v.mode "daemonset" }}
  # The Connector of a node is called as the node is.
  - name: TWINGATE_LABEL_HOSTNAME
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  {{- end }}
  # Tracebacks without columns: code takes less memory.
  - {name: PYTHONNODEBUGRANGES, value: "1"}
  {{- with $v.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - {name: health-metrics, containerPort: {{ $v.port }}, protocol: TCP}
# Whether its loop lives, never what it has found: a Connector in trouble is no reason to start its watcher anew.
livenessProbe:
  {{- include "connector-health.probe" (dict "values" $v "path" "/-/healthy") | nindent 2 }}
  initialDelaySeconds: 10
  periodSeconds: {{ ternary 30 10 (eq $v.probes.via "socket") }}
  timeoutSeconds: {{ ternary 10 5 (eq $v.probes.via "socket") }}
  failureThreshold: {{ ternary 3 6 (eq $v.probes.via "socket") }}
{{- if not .sidecar }}
# Once each check has reported; it never goes back.
readinessProbe:
  {{- include "connector-health.probe" (dict "values" $v "path" "/-/ready") | nindent 2 }}
  periodSeconds: {{ ternary 30 5 (eq $v.probes.via "socket") }}
  timeoutSeconds: {{ ternary 10 5 (eq $v.probes.via "socket") }}
{{- end }}
resources:
  {{- toYaml $v.resources | nindent 2 }}
securityContext:
  {{- include "connector-health.securityContext" . | nindent 2 }}
volumeMounts:
  - {name: {{ include "connector-health.volume" (list . "config") }}, mountPath: /etc/connector-health, readOnly: true}
  - {name: {{ include "connector-health.volume" (list . "state") }}, mountPath: /var/lib/connector-health}
  - {name: {{ include "connector-health.volume" (list . "run") }}, mountPath: /run/connector-health}
  {{- with $v.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "connector-health.probe" -}}
{{- if eq .values.probes.via "socket" -}}
exec: {command: [healthctl, status, --alive]}
{{- else -}}
httpGet: {path: {{ .path }}, port: health-metrics, scheme: {{ upper .values.probes.via }}}
{{- end -}}
{{- end -}}

{{/* A sidecar's volumes stand among those of a pod that is not ours, so their names say whose they are. */}}
{{- define "connector-health.volume" -}}
{{- $of := index . 0 -}}
{{- ternary (printf "%s-%s" $of.scope.Values.sidecar.containerName (index . 1)) (index . 1) $of.sidecar -}}
{{- end -}}

{{- define "connector-health.securityContext" -}}
{{- $v := .scope.Values -}}
{{- $context := deepCopy $v.securityContext -}}
{{- if .sidecar -}}
{{- $context = merge $context (pick $v.podSecurityContext "runAsNonRoot" "runAsUser" "runAsGroup" "seccompProfile") -}}
{{- end -}}
{{- if $v.halfOpen -}}
{{- $root := dict "runAsUser" 0 "runAsNonRoot" false "capabilities" (dict "drop" (list "ALL") "add" (list "NET_RAW")) -}}
{{- $context = mergeOverwrite $context $root -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* The volumes of that container. Takes {scope, sidecar, fullname}. */}}
{{- define "connector-health.volumes" -}}
{{- $v := .scope.Values -}}
# Configuration and secrets in one directory: file names in config.yaml are relative to it.
- name: {{ include "connector-health.volume" (list . "config") }}
  projected:
    {{- /* A pod that is not ours need not have our fsGroup: there the file is read as "others". */}}
    defaultMode: {{ ternary 292 288 .sidecar }}  # {{ ternary "0444" "0440" .sidecar }}
    sources:
      {{- /* A volume that can't be mounted keeps the whole pod from starting, the Connector with it. */}}
      {{- $optional := ternary ", optional: true" "" .sidecar }}
      - configMap: {name: {{ .fullname }}{{ $optional }}}
      {{- if $v.secretData }}
      - secret: {name: {{ include "connector-health.fullname" .scope }}{{ $optional }}}
      {{- end }}
      {{- if $v.existingSecret }}
      - secret: {name: {{ $v.existingSecret | quote }}{{ $optional }}}
      {{- end }}
- name: {{ include "connector-health.volume" (list . "state") }}
  {{- if and $v.persistence.enabled (not .sidecar) }}
  persistentVolumeClaim: {claimName: {{ .fullname }}}
  {{- else if .sidecar }}
  # Without a limit: who exceeds one is evicted, here the Connector too. The daemon bounds what it keeps.
  emptyDir: {}
  {{- else }}
  emptyDir: {sizeLimit: {{ $v.persistence.size }}}
  {{- end }}
# The socket that healthctl asks.
- name: {{ include "connector-health.volume" (list . "run") }}
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
