{{/* The parts of the server's pod. */}}

{{- define "culturetag.args" -}}
- --bundle={{ printf "/bundle/%s" .Values.bundle.claim.path | trimSuffix "/" }}
- --listen=0.0.0.0:50051
- --metrics_listen=0.0.0.0:{{ .Values.metrics.port }}
- --device={{ .Values.device | default (ternary "cuda" "cpu" (gt (int .Values.gpu.count) 0)) }}
- --log_format=json
- --drain_delay={{ .Values.drain.delaySeconds }}s
- --drain_timeout={{ .Values.drain.timeoutSeconds }}s
- --max_spool_bytes={{ mul .Values.spoolGiB 1073741824 }}
{{- if .Values.tls.secretName }}
- --tls_cert=/tls/tls.crt
- --tls_key=/tls/tls.key
{{- end }}
{{- if .Values.tls.clientCaSecretName }}
- --tls_client_ca=/client-ca/ca.crt
{{- end }}
{{- if .Values.auth.tokensSecretName }}
- --auth_tokens_file=/auth/tokens
{{- end }}
{{- range $name, $value := .Values.flags }}
{{- /* YAML's numbers are floating-point to Helm, which prints 1073741824 as 1.073741824e+09; JSON doesn't. */}}
- {{ printf "--%s=%s" $name (kindIs "string" $value | ternary $value (toJson $value)) | quote }}
{{- end }}
{{- end -}}

{{- define "culturetag.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- if .Values.gpu.count -}}
{{- $limits := merge (dict .Values.gpu.resourceName .Values.gpu.count) ($resources.limits | default dict) -}}
{{- $resources = merge (dict "limits" $limits) $resources -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "culturetag.volumeMounts" -}}
- name: spool
  mountPath: /tmp
- name: bundle
  mountPath: /bundle
  readOnly: true
{{- if .Values.tls.secretName }}
- name: tls
  mountPath: /tls
  readOnly: true
{{- end }}
{{- if .Values.tls.clientCaSecretName }}
- name: client-ca
  mountPath: /client-ca
  readOnly: true
{{- end }}
{{- if .Values.auth.tokensSecretName }}
- name: auth
  mountPath: /auth
  readOnly: true
{{- end }}
{{- end -}}

{{- define "culturetag.volumes" -}}
- name: spool
  emptyDir:
    sizeLimit: {{ add1 .Values.spoolGiB }}Gi
- name: bundle
  {{- if .Values.bundle.image.reference }}
  image:
    reference: {{ .Values.bundle.image.reference }}
    pullPolicy: {{ .Values.bundle.image.pullPolicy }}
  {{- else if .Values.bundle.claim.name }}
  persistentVolumeClaim:
    claimName: {{ .Values.bundle.claim.name }}
    readOnly: true
  {{- else }}
  emptyDir:
    sizeLimit: {{ .Values.bundle.fetch.sizeLimit }}
  {{- end }}
{{- with .Values.tls.secretName }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .Values.tls.clientCaSecretName }}
- name: client-ca
  secret:
    secretName: {{ . }}
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- with .Values.auth.tokensSecretName }}
- name: auth
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: tokens, path: tokens }]
{{- end }}
{{- end -}}

{{/* Downloads, compares, unpacks. It may be run again, after it failed or when a node has started anew. */}}
{{- define "culturetag.fetchContainer" -}}
- name: fetch-bundle
  image: {{ .Values.bundle.fetch.image }}
  command: [sh, -euc]
  args:
    - |
      rm -rf /bundle/*
      curl --fail --location --silent --show-error --retry 5 --output /bundle/archive "$URL"
      echo "$SHA256  /bundle/archive" | sha256sum -c -
      tar -xf /bundle/archive -C /bundle
      rm /bundle/archive
  env:
    - name: URL
      value: {{ .Values.bundle.fetch.url | quote }}
    - name: SHA256
      value: {{ .Values.bundle.fetch.sha256 | quote }}
  resources:
    requests: { cpu: 100m, memory: 64Mi }
    limits: { memory: 256Mi }
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - name: bundle
      mountPath: /bundle
{{- end -}}

{{- define "culturetag.spread" -}}
{{- /* Without the hash, a rollout's new pods would go where the old ones aren't, and be uneven once those have gone. */}}
{{- $default := list -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $default = append $default (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash")) -}}
{{- end -}}
{{- $selector := dict "matchLabels" (include "culturetag.selectorLabels" . | fromYaml) -}}
{{- range (.Values.topologySpreadConstraints | default $default) }}
- {{ toYaml (merge (dict "labelSelector" $selector) .) | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{/* Arguments, mounts and volumes of a pod that calls the service with `culturetag`. */}}
{{- define "culturetag.clientArgs" -}}
{{- if .Values.client.tlsSecretName }}--tls-ca, /client-tls/ca.crt, {{ end -}}
{{- if .Values.tls.clientCaSecretName }}--tls-cert, /client-tls/tls.crt, --tls-key, /client-tls/tls.key, {{ end -}}
{{- if .Values.client.tokenSecretName }}--token-file, /client-token/token, {{ end -}}
{{- end -}}

{{- define "culturetag.clientVolumeMounts" -}}
{{- if .Values.client.tlsSecretName }}
- { name: client-tls, mountPath: /client-tls, readOnly: true }
{{- end }}
{{- if .Values.client.tokenSecretName }}
- { name: client-token, mountPath: /client-token, readOnly: true }
{{- end }}
{{- end -}}

{{- define "culturetag.clientVolumes" -}}
{{- with .Values.client.tlsSecretName }}
- name: client-tls
  secret: { secretName: {{ . }} }
{{- end }}
{{- with .Values.client.tokenSecretName }}
- name: client-token
  secret: { secretName: {{ . }} }
{{- end }}
{{- end -}}
