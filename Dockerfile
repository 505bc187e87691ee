# The binary is static, and has the CA certificates built in: nothing else is needed, no /etc/passwd, HOME or /tmp.
# make image builds it, and gives its directory as the context.
FROM scratch
COPY kmsrun /kmsrun
USER 65532:65532
ENTRYPOINT ["/kmsrun"]
