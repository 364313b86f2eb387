// Command bakeeval runs `buildx bake` for many definitions in one process, through buildx's own command.
//
// It reads one JSON request a line on standard input and answers each with one JSON line on standard output: the
// distinct outcomes of so many runs in a folder (buildx picks at random where its maps have no order).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/docker/buildx/commands"
	"github.com/docker/cli/cli/command"
	"github.com/moby/buildkit/solver/errdefs"
)

type request struct {
	// Folder is the working directory; Env is the whole environment of the run.
	Folder string
	Env    map[string]string
	Args   []string
	Stdin  []byte
	Repeat int
}

// outcome is what one run wrote and how it failed; Places are the source excerpts that buildx shows before the error.
type outcome struct {
	Output string `json:"output"`
	Error  string `json:"error"`
	Places string `json:"places"`
	Crash  bool   `json:"crash"`
}

// show runs the command once. A panic is an outcome: the real program would end with it.
func show(r request) (out outcome, err error) {
	var stdout bytes.Buffer
	cli, err := command.NewDockerCli(
		command.WithInputStream(io.NopCloser(bytes.NewReader(r.Stdin))),
		command.WithOutputStream(&stdout),
		command.WithErrorStream(io.Discard),
	)
	if err != nil {
		return outcome{}, err
	}
	defer func() {
		if reason := recover(); reason != nil {
			out, err = outcome{Error: fmt.Sprint(reason), Crash: true}, nil
		}
	}()
	root := commands.NewRootCmd("buildx", false, cli)
	root.SetArgs(append([]string{"bake"}, r.Args...))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	failed := root.Execute()
	out.Output = stdout.String()
	if failed != nil {
		var places bytes.Buffer
		for _, source := range errdefs.Sources(failed) {
			if err := source.Print(&places); err != nil {
				return outcome{}, err
			}
		}
		out.Error, out.Places = failed.Error(), places.String()
	}
	return out, nil
}

func answer(line []byte) ([]outcome, error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	if err := os.Chdir(r.Folder); err != nil {
		return nil, err
	}
	os.Clearenv()
	for name, value := range r.Env {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	var outcomes []outcome
	for range max(r.Repeat, 1) {
		out, err := show(r)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(outcomes, out) {
			outcomes = append(outcomes, out)
		}
	}
	return outcomes, nil
}

func main() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	// The progress display writes to standard error directly; nobody asked for it.
	quiet, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	loud := os.Stderr
	os.Stderr = quiet
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			var outcomes []outcome
			if outcomes, err = answer(line); err == nil {
				err = out.Encode(outcomes)
			}
		}
		if err != nil {
			fmt.Fprintln(loud, err)
			os.Exit(1)
		}
	}
}
