#: target {"tags": ["example/one:1", "registry.example:5000/two", "three"]}
FROM busybox
COPY f /f
