FROM busybox
ENV A=b
LABEL l=1
EXPOSE 80
CMD ["sh"]
