# The binary is static, and has the CA certificates built in: nothing else is needed.
# make image builds it first.
FROM scratch
COPY bin/kmsrun /kmsrun
USER 65532:65532
ENTRYPOINT ["/kmsrun"]
