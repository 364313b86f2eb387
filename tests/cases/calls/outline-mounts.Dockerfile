FROM alpine AS base
RUN --mount=type=secret,id=one --mount=type=ssh true
RUN --mount=type=secret,id=two,required=true true
RUN --mount=type=secret,target=/run/three,required \
    --mount=type=ssh,id=key,required true
FROM base AS mid
RUN --mount=type=secret,id=one,required true
RUN --mount=type=cache,target=/c --mount=type=bind,from=base,target=/b true
ARG N=x
RUN --mount=type=secret,id=$N,env=SECRET_X true
FROM scratch
COPY --from=mid /x /y
