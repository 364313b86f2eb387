variable "BAKE_CMD_CONTEXT" { default = "mine" }
target "a" { args = { c = BAKE_CMD_CONTEXT } }
