// Command dockerfile2llb prints the LLB definitions that BuildKit's own Dockerfile frontend makes.
//
// It reads one JSON request a line on standard input and answers each with one JSON line on standard output. The
// frontend runs whole (option parsing, named contexts, ignore files, conversion, marshalling) against a gateway
// client that serves files and image configs out of the request and records what would be solved.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"

	"github.com/containerd/platforms"
)

// request is one build. Locals maps client directories to their files, images references (with or without
// "|PLATFORM") to configs, inputs names to definitions. Options are the frontend's own.
type request struct {
	Options       map[string]string            `json:"options"`
	Locals        map[string]map[string][]byte `json:"locals"`
	Images        map[string]image             `json:"images"`
	Inputs        map[string][]byte            `json:"inputs"`
	SessionID     string                       `json:"session_id"`
	BuildPlatform string                       `json:"build_platform"`
	Sources       map[string]source            `json:"sources"`
	IgnoredCaps   []string                     `json:"ignored_caps"`
}

type image struct {
	Digest string `json:"digest"`
	Config []byte `json:"config"`
}

// source is what is known of a remote source: its time, and for http ones its content.
type source struct {
	CommitObject []byte `json:"commit_object"`
	Content      []byte `json:"content"`
}

type answer struct {
	Error     string            `json:"error,omitempty"`
	Excerpts  []string          `json:"excerpts,omitempty"`
	Platforms map[string]result `json:"platforms,omitempty"`
	Warnings  []warning         `json:"warnings,omitempty"`
	Lookups   []string          `json:"lookups,omitempty"`
	Seconds   float64           `json:"seconds,omitempty"`
}

type result struct {
	Definition []byte   `json:"definition"`
	Digests    []string `json:"digests"`
	Config     []byte   `json:"config"`
	BaseConfig []byte   `json:"base_config,omitempty"`
	Epoch      string   `json:"epoch,omitempty"`
}

type warning struct {
	Message string `json:"message"`
	Detail  string `json:"detail"`
	URL     string `json:"url"`
	Lines   []int  `json:"lines"`
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := output.Encode(handle(line)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func handle(line []byte) answer {
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return answer{Error: "bad request: " + err.Error()}
	}
	gateway := &recorder{request: &req}
	start := time.Now()
	res, err := builder.Build(context.Background(), gateway)
	seconds := time.Since(start).Seconds()
	out := answer{Warnings: gateway.warnings, Lookups: gateway.lookups, Seconds: seconds}
	sort.Strings(out.Lookups)
	if err != nil {
		out.Error = err.Error()
		for _, source := range errdefs.Sources(err) {
			var excerpt strings.Builder
			_ = source.Print(&excerpt)
			if excerpt.Len() > 0 {
				out.Excerpts = append(out.Excerpts, excerpt.String())
			}
		}
		return out
	}
	out.Platforms = map[string]result{}
	if res.Ref != nil {
		out.Platforms[""] = describe(res.Ref, res.Metadata, "")
	}
	for id, ref := range res.Refs {
		out.Platforms[id] = describe(ref, res.Metadata, "/"+id)
	}
	return out
}

func describe(ref client.Reference, metadata map[string][]byte, suffix string) result {
	definition := ref.(*reference).definition
	raw, err := definition.Marshal()
	if err != nil {
		panic(err)
	}
	var digests []string
	for _, op := range definition.Def {
		digests = append(digests, digest.FromBytes(op).String())
	}
	return result{
		Definition: raw,
		Digests:    digests,
		Config:     metadata["containerimage.config"+suffix],
		BaseConfig: metadata["containerimage.base.config"+suffix],
		Epoch:      string(metadata["source.date.epoch"+suffix]),
	}
}

// recorder is the gateway client: it answers from the request.
type recorder struct {
	client.Client
	request  *request
	mu       sync.Mutex
	warnings []warning
	lookups  []string
}

func (r *recorder) BuildOpts() client.BuildOpts {
	build := platforms.Normalize(platforms.DefaultSpec())
	if r.request.BuildPlatform != "" {
		build = platforms.MustParse(r.request.BuildPlatform)
	}
	ignored := map[string]bool{}
	for _, id := range r.request.IgnoredCaps {
		ignored[id] = true
	}
	all := pb.Caps.All()
	kept := all[:0]
	for _, each := range all {
		if !ignored[each.ID] {
			kept = append(kept, each)
		}
	}
	return client.BuildOpts{
		Opts:      r.request.Options,
		SessionID: r.request.SessionID,
		Workers:   []client.WorkerInfo{{Platforms: []ocispecs.Platform{build}}},
		LLBCaps:   pb.Caps.CapSet(kept),
		Caps:      gwpb.Caps.CapSet(gwpb.Caps.All()),
	}
}

// Solve serves files for definitions that read one local directory or one http file, and records all others.
func (r *recorder) Solve(_ context.Context, req client.SolveRequest) (*client.Result, error) {
	if req.Frontend != "" {
		return nil, fmt.Errorf("the frontend was forwarded to %s", req.FrontendOpt["source"])
	}
	res := client.NewResult()
	res.SetRef(&reference{definition: req.Definition, files: r.files(req.Definition)})
	return res, nil
}

func (r *recorder) files(definition *pb.Definition) map[string][]byte {
	if definition == nil || len(definition.Def) != 2 {
		return nil
	}
	var op pb.Op
	if err := op.Unmarshal(definition.Def[0]); err != nil || op.GetSource() == nil {
		return nil
	}
	identifier := op.GetSource().Identifier
	if name, ok := strings.CutPrefix(identifier, "local://"); ok {
		return r.request.Locals[name]
	}
	if found, ok := r.request.Sources[identifier]; ok {
		return map[string][]byte{op.GetSource().Attrs[pb.AttrHTTPFilename]: found.Content, "Dockerfile": found.Content}
	}
	return nil
}

func (r *recorder) ResolveImageConfig(_ context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := ""
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = platforms.FormatAll(*opt.ImageOpt.Platform)
	}
	if opt.OCILayoutOpt != nil && opt.OCILayoutOpt.Platform != nil {
		platform = platforms.FormatAll(*opt.OCILayoutOpt.Platform)
	}
	r.mu.Lock()
	r.lookups = append(r.lookups, ref+"|"+platform+"|"+opt.LogName)
	r.mu.Unlock()
	for _, key := range []string{ref + "|" + platform, ref} {
		if found, ok := r.request.Images[key]; ok {
			return ref, digest.Digest(found.Digest), found.Config, nil
		}
	}
	return "", "", nil, fmt.Errorf("%s: not found", ref)
}

func (r *recorder) ResolveSourceMetadata(_ context.Context, op *pb.SourceOp, _ sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	response := &sourceresolver.MetaResponse{Op: op}
	if found, ok := r.request.Sources[op.Identifier]; ok && len(found.CommitObject) > 0 {
		response.Git = &sourceresolver.ResolveGitResponse{CommitObject: found.CommitObject}
	}
	return response, nil
}

func (r *recorder) Inputs(context.Context) (map[string]llb.State, error) {
	out := map[string]llb.State{}
	for name, raw := range r.request.Inputs {
		var definition pb.Definition
		if err := definition.Unmarshal(raw); err != nil {
			return nil, err
		}
		op, err := llb.NewDefinitionOp(&definition)
		if err != nil {
			return nil, err
		}
		out[name] = llb.NewState(op)
	}
	return out, nil
}

func (r *recorder) Warn(_ context.Context, _ digest.Digest, message string, opts client.WarnOpts) error {
	found := warning{Message: message, URL: opts.URL}
	for _, detail := range opts.Detail {
		found.Detail += string(detail)
	}
	for _, each := range opts.Range {
		found.Lines = append(found.Lines, int(each.Start.Line))
	}
	r.mu.Lock()
	r.warnings = append(r.warnings, found)
	r.mu.Unlock()
	return nil
}

// reference is a solved definition with the files that it would hold.
type reference struct {
	definition *pb.Definition
	files      map[string][]byte
}

func (r *reference) ToState() (llb.State, error) { return llb.State{}, errors.New("not available") }

func (r *reference) Evaluate(context.Context) error { return nil }

func (r *reference) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	content, ok := r.files[strings.TrimPrefix(req.Filename, "/")]
	if !ok {
		return nil, fmt.Errorf("open %s: no such file or directory", req.Filename)
	}
	if req.Range != nil {
		content = content[min(req.Range.Offset, len(content)):]
		if req.Range.Length > 0 {
			content = content[:min(req.Range.Length, len(content))]
		}
	}
	return content, nil
}

func (r *reference) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	content, ok := r.files[strings.TrimPrefix(req.Path, "/")]
	if !ok {
		return nil, fmt.Errorf("stat %s: no such file or directory", req.Path)
	}
	return &fstypes.Stat{Path: req.Path, Size: int64(len(content)), Mode: 0o644}, nil
}

func (r *reference) ReadDir(context.Context, client.ReadDirRequest) ([]*fstypes.Stat, error) {
	return nil, errors.New("not available")
}
