FROM busybox AS first
RUN mkdir /made && echo made > /made/file
COPY new /made/
FROM scratch
COPY --from=first /made /made
COPY --from=first /made/file /file
ENV A=b
CMD ["x"]
