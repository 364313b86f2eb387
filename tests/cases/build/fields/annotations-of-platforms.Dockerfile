#: target {"annotations": ["a=1", "index:i=2", "index-descriptor:j=3", "manifest[linux/arm64]:k=4", "manifest-descriptor[linux/amd64]:l=5", "index,manifest:m=6"], "platforms": ["linux/amd64", "linux/arm64"]}
FROM scratch
COPY f /f
