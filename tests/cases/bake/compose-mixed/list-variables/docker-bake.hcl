variable "V" { default = 1 }
