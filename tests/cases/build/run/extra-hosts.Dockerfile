#: target {"extra-hosts": {"a.example": "10.0.0.1", "b.example": "::1"}}
FROM busybox
RUN cat /etc/hosts > /hosts
