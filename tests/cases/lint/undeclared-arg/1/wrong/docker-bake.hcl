target "default" {
  args = {
    VERSON = 1
    GLOBAL = 2
    LATER = 3
    http_proxy = 4
    BUILDKIT_INLINE_CACHE = 5
    TARGETARCH = 6
  }
}
