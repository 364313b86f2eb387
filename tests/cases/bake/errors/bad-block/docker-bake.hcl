target "a"
{
}
