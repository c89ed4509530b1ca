{{/* The pod of a Deployment or DaemonSet. Takes {scope, daemon}. */}}
{{- define "connector-health.podTemplate" -}}
{{- $v := .scope.Values -}}
{{- $of := dict "scope" .scope "sidecar" false "fullname" .daemon.fullname -}}
metadata:
  annotations:
    # A new configuration starts the pod anew.
    checksum/config: {{ include "connector-health.configFile" .daemon.config | sha256sum }}
    {{- if $v.secretData }}
    checksum/secret: {{ toJson $v.secretData | sha256sum }}
    {{- end }}
    kubectl.kubernetes.io/default-container: connector-health
    {{- with $v.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- $own := include "connector-health.selector" .scope | fromYaml }}
    {{- omit (merge $own ($v.podLabels | default dict) ($v.commonLabels | default dict)) "app.kubernetes.io/component" | toYaml | nindent 4 }}
    app.kubernetes.io/component: {{ .daemon.name | quote }}
spec:
  serviceAccountName: {{ include "connector-health.serviceAccountName" .scope | quote }}
  automountServiceAccountToken: false
  # The addresses of Services in its environment: hundreds of variables that nobody reads.
  enableServiceLinks: false
  {{- if and (eq $v.mode "daemonset") $v.daemonset.hostNetwork }}
  hostNetwork: true
  {{- end }}
  dnsPolicy: {{ $v.dnsPolicy | default (ternary "Default" "ClusterFirst" (eq $v.mode "daemonset")) }}
  {{- with $v.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ quote . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "connector-health.container" $of | nindent 6 | trim }}
  volumes:
    {{- include "connector-health.volumes" $of | nindent 4 }}
{{- end -}}
