// Command peer shows a rawjson stream (standard input) with BuildKit's own renderer (argument: plain), one status at a
// time. Build it from tests/peers, whose module pins the versions: go build -o OUT ../unit/progress/peer/main.go
package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
)

func main() {
	display, err := progressui.NewDisplay(os.Stdout, progressui.DisplayMode(os.Args[1]), progressui.WithDesc("building here", "here"))
	if err != nil {
		panic(err)
	}
	ch := make(chan *client.SolveStatus)
	go func() {
		defer close(ch)
		dec := json.NewDecoder(os.Stdin)
		dec.DisallowUnknownFields()
		for {
			status := &client.SolveStatus{}
			if err := dec.Decode(status); err != nil {
				if err.Error() != "EOF" {
					panic(err)
				}
				return
			}
			ch <- status
			time.Sleep(120 * time.Millisecond)
		}
	}()
	if _, err := display.UpdateFrom(context.Background(), ch); err != nil {
		panic(err)
	}
}
