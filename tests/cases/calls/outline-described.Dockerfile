# app description only
# app again
FROM scratch AS App
