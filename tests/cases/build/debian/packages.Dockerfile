FROM debian:bookworm-slim
RUN rm -f /var/log/apt/* && dpkg -l | wc -l > /packages && useradd -m someone
RUN userdel -r someone
