// Command peer answers questions about Dockerfile text with BuildKit's own parser, word lexer and pattern matcher.
//
// It reads JSON requests on standard input and prints one JSON answer a line. Build it from tests/peers, whose module
// pins the versions: go build -o OUT ../unit/dockerfile/peer/main.go
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

type req struct {
	Op                       string
	Text                     []byte
	Env                      []string
	Escape                   string
	RawQ, RawE, SkipQ, SkipU bool
	Patterns                 []string
	Paths                    []string
}

func keys(m map[string]struct{}) []string {
	out := []string{}
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func errJSON(err error) map[string]any {
	out := map[string]any{"error": err.Error()}
	var le *parser.LocationError
	if errors.As(err, &le) {
		var locs []int
		for _, l := range le.Locations[:1] {
			for _, r := range l {
				locs = append(locs, r.Start.Line)
			}
		}
		out["lines"] = locs
	}
	return out
}

func str(b []byte) string { return string(b) }

func cmdJSON(c any) map[string]any {
	out := map[string]any{"type": fmt.Sprintf("%T", c)}
	if s, ok := c.(fmt.Stringer); ok {
		out["code"] = s.String()
	}
	if cc, ok := c.(instructions.Command); ok {
		out["name"] = cc.Name()
		out["comments"] = cc.Comments()
		var l []int
		for _, r := range cc.Location() {
			l = append(l, r.Start.Line)
		}
		out["lines"] = l
	}
	out["v"] = c
	if r, ok := c.(*instructions.RunCommand); ok {
		out["mounts"] = instructions.GetMounts(r)
		out["network"] = instructions.GetNetwork(r)
		out["security"] = instructions.GetSecurity(r)
		out["devices"] = instructions.GetDevices(r)
		sort.Strings(r.FlagsUsed)
	}
	return out
}

func parse(dt []byte) map[string]any {
	var warns []map[string]any
	lopts, _, _, _ := parser.ParseDirective("check", dt)
	cfg, err := linter.ParseLintOptions(lopts)
	if err != nil {
		return errJSON(fmt.Errorf("failed to parse check options: %w", err))
	}
	cfg.Warn = func(rule, desc, url, msg string, loc []parser.Range) {
		var l []int
		for _, r := range loc {
			l = append(l, r.Start.Line)
		}
		warns = append(warns, map[string]any{"rule": rule, "desc": desc, "url": url, "msg": msg, "lines": l})
	}
	lint := linter.New(cfg)
	res, err := parser.Parse(bytes.NewReader(dt))
	if err != nil {
		return errJSON(err)
	}
	for _, w := range res.Warnings {
		lint.Run(&linter.RuleNoEmptyContinuation, []parser.Range{*w.Location}, linter.RuleNoEmptyContinuation.Format())
	}
	stages, meta, err := instructions.Parse(res.AST, lint)
	if err != nil {
		return errJSON(err)
	}
	out := map[string]any{"escape": string(res.EscapeToken), "warnings": warns}
	var ms, ss []any
	for i := range meta {
		ms = append(ms, cmdJSON(&meta[i]))
	}
	for _, s := range stages {
		var l []int
		for _, r := range s.Location {
			l = append(l, r.Start.Line)
		}
		var cs []any
		for _, c := range s.Commands {
			m := cmdJSON(c)
			if r, ok := c.(*instructions.RunCommand); ok {
				if err := r.Expand(func(w string) (string, error) { return w, nil }); err != nil {
					m["expanderr"] = err.Error()
				} else {
					m["mounts2"] = instructions.GetMounts(r)
				}
			}
			cs = append(cs, m)
		}
		ss = append(ss, map[string]any{"name": s.Name, "orig": s.OrigCmd, "base": s.BaseName, "platform": s.Platform, "doc": s.DocComment, "code": s.SourceCode, "lines": l, "comments": s.Comments, "commands": cs})
	}
	out["meta"] = ms
	out["stages"] = ss
	return out
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	dec := json.NewDecoder(in)
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for {
		var r req
		if err := dec.Decode(&r); err != nil {
			return
		}
		var out any
		switch r.Op {
		case "parse":
			out = parse(r.Text)
		case "syntax":
			a, b, l, ok := parser.DetectSyntax(r.Text)
			out = map[string]any{"ref": a, "cmd": b, "loc": l, "ok": ok}
		case "word":
			lex := shell.NewLex([]rune(r.Escape)[0])
			lex.RawQuotes, lex.RawEscapes, lex.SkipProcessQuotes, lex.SkipUnsetEnv = r.RawQ, r.RawE, r.SkipQ, r.SkipU
			env := shell.EnvsFromSlice(r.Env)
			res, err := lex.ProcessWordWithMatches(str(r.Text), env)
			if err != nil {
				out = errJSON(err)
				break
			}
			words, _ := lex.ProcessWords(str(r.Text), env)
			if words == nil {
				words = []string{}
			}
			out = map[string]any{"result": res.Result, "words": words, "matched": keys(res.Matched), "unmatched": keys(res.Unmatched)}
		case "patterns":
			pm, err := patternmatcher.New(r.Patterns)
			if err != nil {
				out = errJSON(err)
				break
			}
			var a, b []bool
			infos := map[string]patternmatcher.MatchInfo{}
			o := map[string]any{"exclusions": pm.Exclusions()}
			for _, p := range r.Paths {
				m, err := pm.MatchesOrParentMatches(p)
				if err != nil {
					o["error"] = err.Error()
					break
				}
				a = append(a, m)
				d := filepath.Dir(p)
				var pi patternmatcher.MatchInfo
				if d != "." {
					pi = infos[d]
				}
				m2, info, err := pm.MatchesUsingParentResults(p, pi)
				if err != nil {
					o["error"] = err.Error()
					break
				}
				infos[p] = info
				b = append(b, m2)
			}
			o["a"] = a
			o["b"] = b
			out = o
		case "match":
			var res []string
			for _, p := range r.Paths {
				m, err := filepath.Match(r.Patterns[0], p)
				if err != nil {
					res = append(res, err.Error())
				} else {
					res = append(res, fmt.Sprint(m))
				}
			}
			out = res
		case "ignore":
			l, err := ignorefile.ReadAll(bytes.NewReader(r.Text))
			if err != nil {
				out = errJSON(err)
				break
			}
			out = l
		case "heredoc":
			h, err := parser.ParseHeredoc(str(r.Text))
			if err != nil {
				out = errJSON(err)
				break
			}
			out = h
		}
		if err := enc.Encode(out); err != nil {
			panic(err)
		}
		if in.Buffered() == 0 {
			w.Flush()
		}
	}
}
