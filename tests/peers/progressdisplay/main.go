// Command progressdisplay shows status streams with BuildKit's own progress display, in virtual time.
//
// It reads one JSON request a line on standard input and answers each with one JSON line on standard output: the
// distinct texts that the display wrote in so many runs (it picks at random where its maps have no order). Time passes
// only in the pauses that a request asks for, so minutes of a build take no time and the text is reproducible.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
)

// step is a pause, in nanoseconds, and what the engine reports after it.
type step struct {
	Pause  time.Duration
	Status json.RawMessage
}

type request struct {
	Mode        string
	Description string
	Repeat      int
	Steps       []step
}

type answer struct {
	Outputs []string `json:"outputs"`
}

// show runs one display over all steps; it belongs into a bubble of virtual time.
func show(r request) (string, error) {
	var out bytes.Buffer
	display, err := progressui.NewDisplay(&out, progressui.DisplayMode(r.Mode), progressui.WithDesc(r.Description, r.Description))
	if err != nil {
		return "", err
	}
	statuses := make(chan *client.SolveStatus)
	done := make(chan error, 1)
	go func() {
		_, err := display.UpdateFrom(context.Background(), statuses)
		done <- err
	}()
	for _, s := range r.Steps {
		time.Sleep(s.Pause)
		status := &client.SolveStatus{}
		dec := json.NewDecoder(bytes.NewReader(s.Status))
		dec.DisallowUnknownFields()
		if err := dec.Decode(status); err != nil {
			return "", err
		}
		statuses <- status
	}
	close(statuses)
	if err := <-done; err != nil {
		return "", err
	}
	return out.String(), nil
}

func serve(t *testing.T) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	dec := json.NewDecoder(in)
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	for {
		var r request
		if err := dec.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				return
			}
			t.Fatal(err)
		}
		a := answer{Outputs: []string{}}
		for range max(1, r.Repeat) {
			synctest.Test(t, func(t *testing.T) {
				text, err := show(r)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(a.Outputs, text) {
					a.Outputs = append(a.Outputs, text)
				}
			})
		}
		if err := enc.Encode(a); err != nil {
			t.Fatal(fmt.Errorf("writing the answer: %w", err))
		}
	}
}

func main() {
	always := func(string, string) (bool, error) { return true, nil }
	testing.Main(always, []testing.InternalTest{{Name: "serve", F: serve}}, nil, nil)
}
