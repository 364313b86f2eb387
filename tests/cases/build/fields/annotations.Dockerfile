#: target {"annotations": ["a=1", "manifest:b=2 3", "manifest-descriptor:c=x=y", "d="]}
FROM busybox
COPY f /f
