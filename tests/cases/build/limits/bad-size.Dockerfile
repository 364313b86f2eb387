#: target {"resources": {"memory": "lots"}}
#: fails invalid size: 'lots'
FROM busybox
RUN true
