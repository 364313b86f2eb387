#: target {"resources": {"cpuset-cpus": "none"}}
#: fails invalid cpusetcpus value: none
FROM busybox
RUN true
