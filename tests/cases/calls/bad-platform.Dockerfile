FROM scratch AS A
FROM --platform=not/a/good/one/at/all scratch
