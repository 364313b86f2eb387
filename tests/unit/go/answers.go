// Answers questions about text with Go's own functions: a JSON request a line in, a JSON answer a line out.
// Texts travel as base64, since JSON cannot carry bytes that are not UTF-8.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/agext/levenshtein"
	"github.com/docker/go-units"
	"github.com/tonistiigi/go-csvvalue"
)

type request struct {
	Op   string
	Args [][]byte
	Bits int
	Base int
	Ns   int64
}

type answer struct {
	Text  []byte   `json:",omitempty"`
	Texts [][]byte `json:",omitempty"`
	Value string   `json:",omitempty"`
	Error []byte   `json:",omitempty"`
}

func value(v any, err error) answer {
	if err != nil {
		return answer{Error: []byte(err.Error())}
	}
	return answer{Value: fmt.Sprint(v)}
}

func reply(r request) answer {
	args := make([]string, len(r.Args))
	for i, arg := range r.Args {
		args[i] = string(arg)
	}
	text := func(s string) answer { return answer{Text: []byte(s)} }
	switch r.Op {
	case "quote":
		return text(strconv.Quote(args[0]))
	case "lower":
		return text(strings.ToLower(args[0]))
	case "upper":
		return text(strings.ToUpper(args[0]))
	case "trim":
		return text(strings.TrimSpace(args[0]))
	case "valid":
		return text(string([]rune(args[0])))
	case "distance":
		return value(levenshtein.Distance(args[0], args[1], nil), nil)
	case "clean":
		return text(path.Clean(args[0]))
	case "join":
		return text(path.Join(args...))
	case "base":
		return text(path.Base(args[0]))
	case "dir":
		return text(path.Dir(args[0]))
	case "match":
		return value(path.Match(args[0], args[1]))
	case "filematch":
		return value(filepath.Match(args[0], args[1]))
	case "bool":
		return value(strconv.ParseBool(args[0]))
	case "int":
		return value(strconv.ParseInt(args[0], 10, r.Bits))
	case "uint":
		return value(strconv.ParseUint(args[0], r.Base, r.Bits))
	case "float":
		return value(strconv.ParseFloat(args[0], 64))
	case "ram":
		return value(units.RAMInBytes(args[0]))
	case "ulimit":
		limit, err := units.ParseUlimit(args[0])
		return value(limit, err)
	case "duration":
		d, err := time.ParseDuration(args[0])
		return value(d.Nanoseconds(), err)
	case "durationtext":
		return text(time.Duration(r.Ns).String())
	case "csv":
		fields, err := csvvalue.Fields(args[0], nil)
		if err != nil {
			return answer{Error: []byte(err.Error())}
		}
		out := answer{}
		for _, field := range fields {
			out.Texts = append(out.Texts, []byte(field))
		}
		return out
	case "json":
		encoded, err := json.Marshal(map[string]any{args[0]: []any{args[0], nil, true, 1 << 40}})
		if err != nil {
			panic(err)
		}
		return answer{Text: encoded}
	case "jsonindent":
		encoded, err := json.MarshalIndent(map[string]any{args[0]: []any{args[0], []int{}, map[string]int{}}}, "", "  ")
		if err != nil {
			panic(err)
		}
		return answer{Text: encoded}
	case "columns":
		// Base is the tab width, 0 for blanks; Bits the padding.
		fill := byte(' ')
		if r.Base > 0 {
			fill = '\t'
		}
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, r.Base, r.Bits, fill, 0)
		fmt.Fprint(w, args[0])
		w.Flush()
		return text(b.String())
	case "time":
		t, err := time.Parse(time.RFC3339Nano, args[0])
		if err != nil {
			return answer{Error: []byte("refused")}
		}
		return answer{
			Value: fmt.Sprintf("%d %d", t.Unix(), t.Nanosecond()),
			Texts: [][]byte{[]byte(t.Format(time.RFC3339Nano)), []byte(t.UTC().Format(time.RFC3339Nano))},
		}
	}
	panic(r.Op)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<26)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		if err := out.Encode(reply(r)); err != nil {
			panic(err)
		}
	}
}
