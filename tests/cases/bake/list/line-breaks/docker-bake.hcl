variable "b" { default = "l1\n\tl2\t\n" }
variable "d" { default = "" }
variable "e" {
 default = "\n"
 description = "d" 
}
