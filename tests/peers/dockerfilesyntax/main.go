// Command dockerfilesyntax answers questions about Dockerfile text with BuildKit's own parser, word lexer and pattern
// matcher.
//
// It reads one JSON request a line on standard input and answers each with one JSON line on standard output.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

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
	// RawPatterns and RawPaths stand for Patterns and Paths that are not UTF-8.
	RawPatterns, RawPaths [][]byte
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

// word is what the lexer makes of a text: as one word, and split into words.
func word(r req) any {
	lex := shell.NewLex([]rune(r.Escape)[0])
	lex.RawQuotes, lex.RawEscapes, lex.SkipProcessQuotes, lex.SkipUnsetEnv = r.RawQ, r.RawE, r.SkipQ, r.SkipU
	env := shell.EnvsFromSlice(r.Env)
	res, err := lex.ProcessWordWithMatches(string(r.Text), env)
	if err != nil {
		return errJSON(err)
	}
	words, _ := lex.ProcessWords(string(r.Text), env)
	if words == nil {
		words = []string{}
	}
	return map[string]any{"result": res.Result, "words": words, "matched": keys(res.Matched), "unmatched": keys(res.Unmatched)}
}

// patterns matches every path by itself ("a") and as a walk does, with its directory's result ("b").
func patterns(r req) any {
	pm, err := patternmatcher.New(r.Patterns)
	if err != nil {
		return errJSON(err)
	}
	var alone, walked []bool
	infos := map[string]patternmatcher.MatchInfo{}
	out := map[string]any{"exclusions": pm.Exclusions()}
	for _, p := range r.Paths {
		matched, err := pm.MatchesOrParentMatches(p)
		if err != nil {
			out["error"] = err.Error()
			break
		}
		alone = append(alone, matched)
		var parent patternmatcher.MatchInfo
		if dir := filepath.Dir(p); dir != "." {
			parent = infos[dir]
		}
		matched, info, err := pm.MatchesUsingParentResults(p, parent)
		if err != nil {
			out["error"] = err.Error()
			break
		}
		infos[p] = info
		walked = append(walked, matched)
	}
	out["a"], out["b"] = alone, walked
	return out
}

// timed tells how long it takes to match every path by itself.
func timed(r req) any {
	pm, err := patternmatcher.New(r.Patterns)
	if err != nil {
		return errJSON(err)
	}
	matching := 0
	start := time.Now()
	for _, p := range r.Paths {
		matched, err := pm.MatchesOrParentMatches(p)
		if err != nil {
			return errJSON(err)
		}
		if matched {
			matching++
		}
	}
	return map[string]any{"seconds": time.Since(start).Seconds(), "matching": matching}
}

func match(r req) any {
	var out []string
	for _, p := range r.Paths {
		matched, err := filepath.Match(r.Patterns[0], p)
		if err != nil {
			out = append(out, err.Error())
		} else {
			out = append(out, fmt.Sprint(matched))
		}
	}
	return out
}

func orError[T any](value T, err error) any {
	if err != nil {
		return errJSON(err)
	}
	return value
}

func answer(r req) any {
	for _, each := range r.RawPatterns {
		r.Patterns = append(r.Patterns, string(each))
	}
	for _, each := range r.RawPaths {
		r.Paths = append(r.Paths, string(each))
	}
	switch r.Op {
	case "parse":
		return parse(r.Text)
	case "word":
		return word(r)
	case "patterns":
		return patterns(r)
	case "timed":
		return timed(r)
	case "match":
		return match(r)
	case "ignore":
		return orError(ignorefile.ReadAll(bytes.NewReader(r.Text)))
	}
	return map[string]any{"unknown": r.Op}
}

func main() {
	dec := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20))
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	for {
		var r req
		if err := dec.Decode(&r); err != nil {
			if !errors.Is(err, io.EOF) {
				panic(err)
			}
			return
		}
		if err := enc.Encode(answer(r)); err != nil {
			panic(err)
		}
	}
}
