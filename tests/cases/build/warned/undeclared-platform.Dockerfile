#: fails UndefinedArgInFrom: FROM argument 'TARGETPLATFROM' is not declared (did you mean TARGETPLATFORM?) (line 1)
#: fails empty platform value from expression
FROM --platform=$TARGETPLATFROM busybox
