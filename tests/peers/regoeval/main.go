// Command regoeval evaluates policies in Rego with the Open Policy Agent's own evaluator.
//
// It reads one JSON request a line on standard input, {"modules": {file: text}, "query": "data.p.q", "input": …}, and
// answers each with one JSON line: {"value": …}, {} for no value, {"error": "…"}; "printed" holds what print said.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown/print"
)

type request struct {
	Modules map[string]string `json:"modules"`
	Query   string            `json:"query"`
	Input   any               `json:"input"`
}

type printer struct{ lines []string }

func (p *printer) Print(_ print.Context, text string) error {
	p.lines = append(p.lines, text)
	return nil
}

func answer(req request) map[string]any {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	hook := &printer{}
	options := []func(*rego.Rego){
		rego.SetRegoVersion(ast.RegoV1), rego.Query(req.Query), rego.Input(req.Input),
		rego.EnablePrintStatements(true), rego.PrintHook(hook),
	}
	for file, text := range req.Modules {
		options = append(options, rego.Module(file, text))
	}
	results, err := rego.New(options...).Eval(ctx)
	out := map[string]any{}
	if err != nil {
		out["error"] = err.Error()
	} else if len(results) > 0 {
		out["value"] = results[0].Expressions[0].Value
	}
	if len(hook.lines) > 0 {
		out["printed"] = hook.lines
	}
	return out
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	encoder := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var req request
		if err := json.Unmarshal(line, &req); err != nil {
			_ = encoder.Encode(map[string]any{"error": err.Error()})
			continue
		}
		if err := encoder.Encode(answer(req)); err != nil {
			return
		}
	}
}
