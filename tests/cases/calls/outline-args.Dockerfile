# BASE is what everything stands on
ARG BASE=alpine
ARG TAG=latest
ARG FULL=$BASE:$TAG
ARG UNUSED=1
ARG NO_DEFAULT
# SELF grows
ARG SELF=$TAG
ARG SELF=$SELF
# tool makes tools
FROM $FULL AS tool
# FIRST is declared here
ARG FIRST=1
ARG TAG
ARG TARGETPLATFORM
ARG NOT_GIVEN
FROM scratch AS other
ARG OTHER=1
# app is what you want
FROM $BASE AS app
ARG FIRST=2
# GREETING is <said> & "quoted"
ARG GREETING="hello	there"
ARG UNUSED
COPY --from=tool /x /y
