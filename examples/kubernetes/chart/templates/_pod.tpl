{{- /* The pod of every mode. */}}
{{- define "kmsrun.pod" -}}
{{- $wraps := has .Values.mode (list "exec" "job") -}}
metadata:
  labels:
    {{- include "kmsrun.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A new declaration is a new pod.
    kmsrun/declaration: {{ include "kmsrun.declaration" . | sha256sum }}
    {{- if .Values.serviceAccount.roleName }}
    pod-identity.alibabacloud.com/only-containers: {{ ternary "app" "kmsrun" $wraps }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "kmsrun.serviceAccount" . }}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- if eq .Values.mode "job" }}
  restartPolicy: Never
  {{- end }}
  {{- if eq .Values.mode "sidecar" }}
  shareProcessNamespace: true
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ .Values.user }}
    runAsGroup: {{ .Values.group }}
    seccompProfile: {type: RuntimeDefault}
  initContainers:
    {{- if $wraps }}
    - name: install
      args: [install, /install]
      {{- include "kmsrun.container" . | nindent 6 }}
      volumeMounts:
        - {name: kmsrun, mountPath: /install}
    {{- else }}
    - name: kmsrun
      {{- if eq .Values.mode "sidecar" }}
      restartPolicy: Always
      args: [sidecar, -c, /etc/kmsrun/kmsrun.yaml]
      ports:
        - {name: kmsrun, containerPort: {{ .Values.kmsrun.port }}}
      # The app is not started before this is true: the files are there.
      startupProbe:
        {{- include "kmsrun.probe" "/startupz" | nindent 8 }}
        periodSeconds: 1
        failureThreshold: 90
      livenessProbe:
        {{- include "kmsrun.probe" "/livez" | nindent 8 }}
        timeoutSeconds: 6
      {{- else }}
      args: [render, -c, /etc/kmsrun/kmsrun.yaml]
      {{- end }}
      {{- include "kmsrun.container" . | nindent 6 }}
      volumeMounts:
        - {name: kmsrun-declaration, mountPath: /etc/kmsrun, readOnly: true}
        - {name: kmsrun-files, mountPath: {{ dir .Values.kmsrun.filesDir }}}
        {{- range .Values.kmsrun.shareWith }}
        - {{ toYaml (merge (dict "readOnly" true) .) | nindent 10 }}
        {{- end }}
    {{- end }}
  containers:
    - name: app
      {{- include "kmsrun.app" (list . $wraps) | nindent 6 }}
  volumes:
    {{- if $wraps }}
    - name: kmsrun
      emptyDir: {sizeLimit: 64Mi}
    {{- end }}
    - name: kmsrun-declaration
      configMap: {name: {{ include "kmsrun.name" . }}}
    - name: kmsrun-files
      emptyDir: {medium: Memory, sizeLimit: {{ .Values.kmsrun.filesSize }}}
    {{- with .Values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* The app's container: its program, or kmsrun around it. */}}
{{- define "kmsrun.app" -}}
{{- $wraps := index . 1 -}}
{{- with index . 0 -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if $wraps }}
command: [/kmsrun/kmsrun, exec, {{ if eq .Values.mode "job" }}--once, {{ end }}-c, /etc/kmsrun/kmsrun.yaml, --]
{{- with .Values.command }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
{{- with .Values.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $ports := .Values.ports }}
{{- $probes := .Values.probes }}
{{- if eq .Values.mode "exec" }}
{{- $ports = append $ports (dict "name" "kmsrun" "containerPort" .Values.kmsrun.port) }}
{{- $startup := merge (include "kmsrun.probe" "/startupz" | fromYaml) (dict "periodSeconds" 2 "failureThreshold" 45) }}
{{- $live := merge (include "kmsrun.probe" "/livez" | fromYaml) (dict "timeoutSeconds" 6) }}
{{- $probes = dict "startupProbe" (.Values.probes.startupProbe | default $startup)
      "livenessProbe" (.Values.probes.livenessProbe | default $live)
      "readinessProbe" .Values.probes.readinessProbe }}
{{- end }}
{{- with $ports }}
ports:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $kind, $probe := $probes }}
{{- with $probe }}
{{ $kind }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
securityContext:
  {{- include "kmsrun.lockedDown" . | nindent 2 }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- if $wraps }}
  - {name: kmsrun, mountPath: /kmsrun, readOnly: true}
  - {name: kmsrun-declaration, mountPath: /etc/kmsrun, readOnly: true}
  {{- end }}
  - {name: kmsrun-files, mountPath: {{ dir .Values.kmsrun.filesDir }}{{ if not $wraps }}, readOnly: true{{ end }}}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
