// Command dockerfile2llb prints the LLB definition that BuildKit's own frontend makes of a Dockerfile.
package main

import (
	_ "github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
)

func main() {}
