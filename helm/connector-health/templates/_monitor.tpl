{{/* One endpoint of a ServiceMonitor or PodMonitor. */}}
{{- define "connector-health.monitorEndpoint" -}}
port: health-metrics
path: /metrics
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
{{- with .endpoint }}
{{ toYaml . }}
{{- end }}
relabelings:
  # Labels of an alert come from the daemon alone. Discovery adds `endpoint`, the name of a port, and whatever labels are
  # copied from the pod: in an alert they would keep it from being the same as the one that the daemon pushes.
  - {action: labeldrop, regex: "alert|severity|connector|remote_network|resource|address|port|nameserver|endpoint"}
  # ConnectorHealthDown finds a daemon that never came up by this name.
  - {targetLabel: job, replacement: connector-health}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
