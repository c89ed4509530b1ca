{{/*
The daemons of this release, as a JSON list of {name, fullname, config}: one for each of remoteNetworks, else one.
`config` is what becomes config.yaml: what the mode asks for, below what all share, below the Remote Network's own.
*/}}
{{- define "connector-health.daemons" -}}
{{- include "connector-health.checkValues" . -}}
{{- $fullname := include "connector-health.fullname" . -}}
{{- $daemons := list -}}
{{- range (.Values.remoteNetworks | default (list (dict "name" ""))) -}}
{{- $own := ternary $fullname (printf "%s-%s" $fullname .name) (empty .name) -}}
{{- $connector := dict "runtime" "none" "vantage" "host" -}}
{{- if eq $.Values.mode "sidecar" -}}
{{- $connector = dict "runtime" "kubernetes" "vantage" "connector" -}}
{{- else if eq $.Values.mode "deployment" -}}
{{- $_ := set $connector "name" $own -}}
{{- end -}}
{{- $place := dict "listen" (list (printf "0.0.0.0:%d" (int $.Values.port))) "socket" "/run/connector-health/api.sock" -}}
{{- $asked := dict "connector" $connector "web" $place "state" (dict "path" "/var/lib/connector-health/state.db") -}}
{{- $config := mergeOverwrite $asked (deepCopy ($.Values.config | default dict)) (deepCopy (.config | default dict)) -}}
{{- include "connector-health.checkConfig" (dict "config" $config "port" (int $.Values.port) "via" $.Values.probes.via "secrets" (or $.Values.existingSecret $.Values.secretData $.Values.extraVolumes)) -}}
{{- $daemons = append $daemons (dict "name" (default "daemon" .name) "fullname" $own "config" $config) -}}
{{- end -}}
{{- toJson $daemons -}}
{{- end -}}

{{/* config.yaml. The ports of probing.ports are numbers there, and the keys of a map are text in Helm's values. */}}
{{- define "connector-health.configFile" -}}
{{- $probing := default dict .probing -}}
{{- with omit . "probing" }}
{{ toYaml . }}
{{- end }}
{{- if $probing }}
probing:
{{- with omit $probing "ports" }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- if hasKey $probing "ports" }}
{{- $policies := list }}
{{- range $port, $policy := $probing.ports }}
{{- $policies = append $policies (printf "%s: %s" $port (toJson $policy)) }}
{{- end }}
  ports: {{ printf "{%s}" (join ", " $policies) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the schema can't say, because it spans several values. */}}
{{- define "connector-health.checkValues" -}}
{{- $v := .Values -}}
{{- if and $v.serviceMonitor.enabled $v.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled: each daemon would be scraped twice; enable one of them" -}}
{{- end -}}
{{- if and (eq $v.mode "sidecar") $v.serviceMonitor.enabled -}}
{{- fail "serviceMonitor.enabled: sidecars have no Service; use podMonitor.enabled" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (eq $v.mode "sidecar") -}}
{{- fail "networkPolicy.enabled: in mode sidecar it would cut off the Connector, whose users may go anywhere; leave it off" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (eq $v.mode "daemonset") $v.daemonset.hostNetwork -}}
{{- fail "networkPolicy.enabled: no NetworkPolicy holds for pods with hostNetwork; leave it off (healthctl explain firewall tells what the node must let out)" -}}
{{- end -}}
{{- if and $v.persistence.enabled (ne $v.mode "deployment") -}}
{{- fail (printf "persistence.enabled: only in mode deployment, got mode %s; in the other modes the state lives as long as the pod" $v.mode) -}}
{{- end -}}
{{- if and $v.remoteNetworks (eq $v.mode "daemonset") -}}
{{- fail "remoteNetworks: the daemons of one node would listen on the same port; install the chart once for each, with its own port" -}}
{{- end -}}
{{- if and (eq $v.mode "daemonset") (dig "connector" "name" "" ($v.config | default dict)) -}}
{{- fail "config.connector.name: each node's daemon would speak of the same Connector; leave it out, and each is called as its node is" -}}
{{- end -}}
{{- if hasKey $v.secretData "config.yaml" -}}
{{- fail "secretData.config.yaml: the chart writes this file itself, from config; give the Secret's key another name" -}}
{{- end -}}
{{- /* That is what the only one is called. */ -}}
{{- $names := list "daemon" -}}
{{- range $v.remoteNetworks -}}
{{- if has .name $names -}}
{{- fail (printf "remoteNetworks: another is called %s already; rename one" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}

{{- define "connector-health.checkConfig" -}}
{{- $there := list -}}
{{- range .config.web.listen -}}
{{- if hasSuffix (printf ":%d" $.port) . -}}
{{- $there = append $there . -}}
{{- end -}}
{{- end -}}
{{- if not $there -}}
{{- fail (printf "config.web.listen: nothing listens on port %d, where the kubelet and Prometheus ask; add it, or set port" .port) -}}
{{- end -}}
{{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]):|, (0\\.0\\.0\\.0|\\[::\\]):" (join ", " $there)) -}}
{{- fail (printf "config.web.listen: port %d is open only on loopback or on one address, and a pod's address is not known before; add 0.0.0.0:%d or [::]:%d" .port .port .port) -}}
{{- end -}}
{{- if and .config.web.config_file (not .secrets) -}}
{{- fail "config.web.config_file: the file has to come with a Secret; set existingSecret or secretData, or extraVolumes" -}}
{{- end -}}
{{- if and .config.web.config_file (eq .via "http") -}}
{{- fail "config.web.config_file: with TLS or a password in it the kubelet's plain question fails, and it would start the container anew for ever; set probes.via to socket, or to https for TLS without passwords and client certificates" -}}
{{- end -}}
{{- if .config.resource_sources -}}
{{- fail "config.resource_sources: not in this version; list the Resources under config.resources" -}}
{{- end -}}
{{- end -}}
