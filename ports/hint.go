package ports

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"netprobe/internal/spell"
)

// help is what a list may hold, for those of whom nothing better can be guessed.
const help = "a list of numbers, ranges (8000-8100), services (https), groups (@web), top:100, or - for all"

// unknown says that nothing is called what, and what was meant.
func unknown(what string, proto Proto) *Error {
	if _, ok := Lookup(what, proto.other()); ok {
		return &Error{
			fmt.Sprintf("the service %s has no %s port", quote(what), proto),
			fmt.Sprintf("by %s it is %s%s", proto.other(), proto.other().prefix(), strings.ToLower(what)),
		}
	}
	return &Error{"unknown service " + quote(what), hint(strings.ToLower(what), proto)}
}

func hint(what string, proto Proto) string {
	switch what {
	case "all", "any", "*":
		return "did you mean -, which is all ports?"
	}
	if n, ok := strings.CutPrefix(what, "top"); ok {
		if n = strings.Trim(n, "-= "); n == "" || isNumber(n) {
			return "did you mean top:" + shorten(cmp.Or(n, "100")) + "?"
		}
	}
	if isGroup(what) {
		return "did you mean @" + what + "?"
	}
	for _, sep := range []string{"..", ":", "–", "—"} {
		if from, to, ok := strings.Cut(what, sep); ok && isNumber(from) && isNumber(to) {
			return "did you mean " + shorten(from) + "-" + shorten(to) + "?"
		}
	}
	if strings.ContainsAny(what, " ;\t\n") {
		return "commas separate ports: 22,80"
	}
	for _, known := range [][]string{serviceNames(proto), systemNames(proto)} {
		if near := spell.Nearest(what, known); near != "" {
			return "did you mean " + near + "?"
		}
	}
	return help
}

// hintSpan guesses at what follows or precedes a hyphen and is no number.
func hintSpan(end string) string {
	if strings.ContainsAny(strings.TrimSpace(end), " \t") {
		return "commas separate ports: 22,80"
	}
	return "a range has one hyphen: 8000-8100"
}

func unknownGroup(name string) *Error {
	var names, listed []string
	for _, g := range Groups() {
		names = append(names, g.Name)
		listed = append(listed, "@"+g.Name)
	}
	e := &Error{"unknown group " + quote("@"+name), "there are " + strings.Join(listed, " ")}
	if near := spell.Nearest(name, names); near != "" {
		e.Hint = "did you mean @" + near + "?"
	}
	return e
}

func isGroup(name string) bool {
	for _, g := range Groups() {
		if g.Name == name {
			return true
		}
	}
	return false
}

// serviceNames are the names of infrastructure, and its aliases.
func serviceNames(proto Proto) []string {
	var names []string
	for _, s := range data().services {
		if s.port.Proto == proto {
			names = append(names, s.names...)
		}
	}
	return names
}

// systemNames are the registry's names of ports below 1024. Those of the others are
// so many that some name is close to every word.
func systemNames(proto Proto) []string {
	var names []string
	for _, a := range data().registry {
		if a.number < 1024 && a.in[proto] {
			names = append(names, a.name)
		}
	}
	return names
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// quote quotes what somebody wrote, on one line and not too long.
func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten cuts what is too long to be repeated in a message.
func shorten(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
