FROM busybox
RUN echo shell > /shell && pwd > /pwd
RUN ["/bin/sh", "-c", "echo exec > /exec"]
RUN <<EOF
echo one > /heredoc
echo two >> /heredoc
EOF
RUN <<EOF
#!/bin/sh -e
echo $0 > /script
EOF
RUN cat <<A > /a && cat <<"B" > /b
$HOME
A
$HOME
B
SHELL ["/bin/sh", "-ec"]
RUN echo other > /other
RUN true
