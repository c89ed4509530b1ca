{{/*
The egress of a NetworkPolicy, from one daemon's configuration. Takes {config, policy}: config.yaml as a map, and
values.networkPolicy. What a key means is said in docs/configuration.md; the defaults repeated here are the daemon's.

Two books are kept: `named` has the ports ("TCP 443", "TCP 8000-8010") of what is known by a host's name, whose address
nobody knows here; `literal` has for each address, as a network, its ports.
*/}}
{{- define "connector-health.egress" -}}
{{- $c := .config -}}
{{- $books := dict "named" dict "literal" dict -}}
{{- $nameservers := dig "dns" "nameservers" "system" $c -}}
{{- if kindIs "slice" $nameservers -}}
{{- range $nameservers -}}
{{- include "connector-health.egress.endpoint" (list $books "UDP" . 53) -}}
{{- include "connector-health.egress.endpoint" (list $books "TCP" . 53) -}}
{{- end -}}
{{- end -}}
{{- include "connector-health.egress.twingate" (list $books $c) -}}
{{- range (dig "alerting" "alertmanagers" list $c) -}}
{{- include "connector-health.egress.url" (list $books (include "connector-health.egress.alertmanager" .)) -}}
{{- end -}}
{{- /* Its address is a secret: the usual port. Another one: networkPolicy.extraEgress. */ -}}
{{- if dig "alerting" "heartbeat_url_file" "" $c -}}
{{- include "connector-health.egress.port" (list $books "TCP" "heartbeat" "443") -}}
{{- end -}}
{{- range (dig "resources" list $c) -}}
{{- include "connector-health.egress.resource" (list $books .) -}}
{{- end -}}
{{- include "connector-health.egress.rules" (dict "books" $books "policy" .policy "system" (kindIs "string" $nameservers)) -}}
{{- end -}}

{{/* Controller, Relays, time servers, STUN servers, status page, the Connector's own metrics. Takes [books, config]. */}}
{{- define "connector-health.egress.twingate" -}}
{{- $books := index . 0 -}}
{{- $c := index . 1 -}}
{{- $network := dig "connector" "network" "" $c -}}
{{- $urls := dig "control_plane" "urls" list $c -}}
{{- if and $network (empty $urls) -}}
{{- $urls = list (printf "https://%s.twingate.com" $network) -}}
{{- end -}}
{{- if ne (dig "provider" "enabled" "on_failure" $c) "never" -}}
{{- $urls = append $urls (dig "provider" "status_url" "https://status.twingate.com/api/v2/summary.json" $c) -}}
{{- end -}}
{{- with dig "connector" "metrics_url" "" $c -}}
{{- $urls = append $urls . -}}
{{- end -}}
{{- range $urls -}}
{{- include "connector-health.egress.url" (list $books .) -}}
{{- end -}}
{{- range (dig "relays" "endpoints" (list "relays.twingate.com:443") $c) -}}
{{- include "connector-health.egress.endpoint" (list $books "TCP" . 443) -}}
{{- end -}}
{{- range (dig "relays" "stun" list $c) -}}
{{- include "connector-health.egress.endpoint" (list $books "UDP" . 3478) -}}
{{- end -}}
{{- $servers := dig "clock" "servers" "system" $c -}}
{{- if kindIs "slice" $servers -}}
{{- range $servers -}}
{{- include "connector-health.egress.endpoint" (list $books "UDP" . 123) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The ports of a Resource that are probed: those of `tcp`; without it all are allowed, and `probe_ports` are probed. */}}
{{- define "connector-health.egress.resource" -}}
{{- $books := index . 0 -}}
{{- $resource := index . 1 -}}
{{- if not (has $resource.probe (list "never" "dns")) -}}
{{- $hosts := $resource.samples | default list -}}
{{- if not (regexMatch "[*?/]" $resource.address) -}}
{{- $hosts = list $resource.address -}}
{{- end -}}
{{- $ports := $resource.probe_ports | default list -}}
{{- if kindIs "slice" $resource.tcp -}}
{{- $ports = $resource.tcp -}}
{{- end -}}
{{- range $host := $hosts -}}
{{- range $ports -}}
{{- include "connector-health.egress.port" (list $books "TCP" $host (toString .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An Alertmanager is a URL, or a map that has one. */}}
{{- define "connector-health.egress.alertmanager" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ .url }}{{ end -}}
{{- end -}}

{{/* Takes [books, url]. */}}
{{- define "connector-health.egress.url" -}}
{{- $url := urlParse (index . 1) -}}
{{- $usual := ternary 443 80 (eq (lower $url.scheme) "https") -}}
{{- include "connector-health.egress.endpoint" (list (index . 0) "TCP" (trimSuffix ":" $url.host) $usual) -}}
{{- end -}}

{{/* Takes [books, protocol, endpoint, usual port]; an endpoint is host, host:port, address or [v6]:port. */}}
{{- define "connector-health.egress.endpoint" -}}
{{- $text := toString (index . 2) -}}
{{- $host := $text -}}
{{- $port := toString (index . 3) -}}
{{- if hasPrefix "[" $text -}}
{{- $host = regexReplaceAll "^\\[([^]]*)\\].*$" $text "${1}" -}}
{{- if regexMatch "\\]:[0-9]+$" $text -}}
{{- $port = regexFind "[0-9]+$" $text -}}
{{- end -}}
{{- else if regexMatch "^[^:]+:[0-9]+$" $text -}}
{{- $host = regexReplaceAll ":[0-9]+$" $text "" -}}
{{- $port = regexFind "[0-9]+$" $text -}}
{{- end -}}
{{- include "connector-health.egress.port" (list (index . 0) (index . 1) $host $port) -}}
{{- end -}}

{{/* Writes one port of one host into the books. Takes [books, protocol, host, "port" or "first-last"]. */}}
{{- define "connector-health.egress.port" -}}
{{- $books := index . 0 -}}
{{- /* Without zeros in front: 0444 would be an octal number. */ -}}
{{- $port := printf "%s %s" (index . 1) (regexReplaceAll "\\b0+([0-9])" (index . 3) "${1}") -}}
{{- $host := toString (index . 2) | trimPrefix "[" | trimSuffix "]" | lower -}}
{{- if contains ":" $host -}}
{{- $host = printf "%s/128" $host -}}
{{- else if regexMatch "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$" $host -}}
{{- $host = printf "%s/32" $host -}}
{{- else -}}
{{- $host = "" -}}
{{- end -}}
{{- if $host -}}
{{- if not (hasKey $books.literal $host) -}}
{{- $_ := set $books.literal $host dict -}}
{{- end -}}
{{- $_ := set (get $books.literal $host) $port true -}}
{{- else -}}
{{- $_ := set $books.named $port true -}}
{{- end -}}
{{- end -}}

{{/* The books as rules. Addresses with the same ports share one. Takes {books, policy, system}. */}}
{{- define "connector-health.egress.rules" -}}
{{- if .system }}
# The pod's own nameservers, at whatever address the cluster has them.
- ports:
    {{- range .policy.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .policy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- if .books.named }}
# Known by name: Controller, Relays, Resources and whatever else the configuration names. Addresses change, ports do not.
- ports:
    {{- include "connector-health.egress.ports" (keys .books.named | sortAlpha) | nindent 4 }}
  to:
    {{- range .policy.named }}
    - ipBlock:
        {{- toYaml . | nindent 8 }}
    {{- end }}
{{- end }}
{{- $shared := dict }}
{{- range $network, $ports := .books.literal }}
{{- $key := keys $ports | sortAlpha | join "," }}
{{- $_ := set $shared $key (append (get $shared $key | default list) $network) }}
{{- end }}
{{- if $shared }}
# Known by address.
{{- end }}
{{- range $key, $networks := $shared }}
- ports:
    {{- include "connector-health.egress.ports" (splitList "," $key) | nindent 4 }}
  to:
    {{- range $networks | sortAlpha }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- with .policy.extraEgress }}
# networkPolicy.extraEgress
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "connector-health.egress.ports" -}}
{{- range $index, $port := . }}
{{- $parts := splitList " " $port }}
{{- $range := splitList "-" (index $parts 1) }}
{{- if $index }}{{ "\n" }}{{ end }}- {protocol: {{ first $parts }}, port: {{ first $range }}
{{- if and (gt (len $range) 1) (ne (first $range) (last $range)) }}, endPort: {{ last $range }}{{ end }}}
{{- end }}
{{- end -}}
