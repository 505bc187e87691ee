{{- define "kmsrun.name" -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "kmsrun.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "kmsrun.name" .) }}
{{- end }}

{{- define "kmsrun.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kmsrun.labels" -}}
{{ include "kmsrun.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Whether a kmsrun runs on beside or around the app, and serves probes and metrics. */}}
{{- define "kmsrun.serves" -}}
{{ if has .Values.mode (list "exec" "sidecar") }}yes{{ end }}
{{- end }}

{{- /* The declaration, with the directory in the volume and the port that is probed. */}}
{{- define "kmsrun.declaration" -}}
{{- $added := dict "files" (dict "dir" .Values.kmsrun.filesDir) }}
{{- if not (dig "files" "items" dict .Values.kmsrun.declaration) }}
{{- $added = dict }}
{{- end }}
{{- if include "kmsrun.serves" . }}
{{- $_ := set $added "http" (dict "listen" (printf ":%v" .Values.kmsrun.port)) }}
{{- end }}
{{- mergeOverwrite (deepCopy .Values.kmsrun.declaration) $added | toYaml }}
{{- end }}

{{- define "kmsrun.lockedDown" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* What each container of kmsrun's own image has. */}}
{{- define "kmsrun.container" -}}
image: "{{ .Values.kmsrun.image.repository }}:{{ .Values.kmsrun.image.tag }}"
imagePullPolicy: {{ .Values.kmsrun.image.pullPolicy }}
securityContext:
  {{- include "kmsrun.lockedDown" . | nindent 2 }}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 64Mi}
{{- end }}

{{- define "kmsrun.probe" -}}
httpGet: {path: {{ . }}, port: kmsrun}
{{- end }}
