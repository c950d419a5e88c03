{{- define "culturetag.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "culturetag.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "culturetag.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "culturetag.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the server's pods, and only them. */}}
{{- define "culturetag.selectorLabels" -}}
app.kubernetes.io/name: {{ include "culturetag.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Labels of everything but the server's pods: the component is left to the object. */}}
{{- define "culturetag.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "culturetag.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "culturetag.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "culturetag.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "culturetag.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes' gRPC probes speak no TLS: with it, the same answer is asked for over HTTP, on the metrics port. */}}
{{- define "culturetag.probe" -}}
{{- if .Values.tls.secretName -}}
httpGet:
  path: /readyz
  port: metrics
{{- else -}}
grpc:
  port: 50051
  service: culturetag.v1.TaggingService
{{- end -}}
{{- end -}}

{{/* Not empty if the chart's own client can call the server: it has what TLS and tokens ask for. */}}
{{- define "culturetag.hasClient" -}}
{{- if and (or (not .Values.tls.secretName) .Values.client.tlsSecretName) (or (not .Values.auth.tokensSecretName) .Values.client.tokenSecretName) -}}
yes
{{- end -}}
{{- end -}}

{{/* Fails, with a sentence for people, where a value is right by itself and wrong beside another. */}}
{{- define "culturetag.validate" -}}
{{- $sources := compact (list .Values.bundle.image.reference .Values.bundle.claim.name .Values.bundle.fetch.url) -}}
{{- if ne (len $sources) 1 -}}
{{- fail "bundle: set exactly one of image.reference, claim.name and fetch.url" -}}
{{- end -}}
{{- if and .Values.bundle.fetch.url (not .Values.bundle.fetch.sha256) -}}
{{- fail "bundle.fetch.sha256: what is downloaded has to have a digest" -}}
{{- end -}}
{{- if and .Values.tls.clientCaSecretName (not .Values.tls.secretName) -}}
{{- fail "tls.clientCaSecretName: needs tls.secretName, too" -}}
{{- end -}}
{{- if and (eq .Values.autoscaling.kind "keda") (not .Values.autoscaling.keda.prometheusAddress) -}}
{{- fail "autoscaling.keda.prometheusAddress: KEDA has to be told where Prometheus is" -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling: minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- if and .Values.bulk.enabled (not (and .Values.bulk.input.claim .Values.bulk.output.claim)) -}}
{{- fail "bulk: set input.claim and output.claim" -}}
{{- end -}}
{{- if and .Values.tls.secretName .Values.bulk.enabled (not .Values.client.tlsSecretName) -}}
{{- fail "client.tlsSecretName: bulk workers have to know whose certificates to trust" -}}
{{- end -}}
{{- if and .Values.auth.tokensSecretName .Values.bulk.enabled (not .Values.client.tokenSecretName) -}}
{{- fail "client.tokenSecretName: bulk workers need a token" -}}
{{- end -}}
{{- if and .Values.client.tlsSecretName (not .Values.tls.secretName) -}}
{{- fail "client.tlsSecretName: needs tls.secretName, too" -}}
{{- end -}}
{{- if eq (int .Values.service.port) (int .Values.metrics.port) -}}
{{- fail "service.port: metrics.port is the same" -}}
{{- end -}}
{{- end -}}
