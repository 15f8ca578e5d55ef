// Package spell finds the known word that a mistyped one was meant to be.
package spell

import "strings"

// Nearest returns the known word closest to word in edits (insert, delete,
// replace, swap neighbours), the first of several, or "" if none is close: at
// most two edits away, one for words of up to three letters, or a unique
// continuation of word. Case does not matter.
func Nearest(word string, known []string) string {
	word = strings.ToLower(word)
	best, least := "", 3
	if len(word) <= 3 {
		least = 2
	}
	var continued []string
	for _, k := range known {
		lower := strings.ToLower(k)
		if d := distance(word, lower, least); d < least && d < len(k) {
			best, least = k, d
		}
		if word != "" && strings.HasPrefix(lower, word) {
			continued = append(continued, k)
		}
	}
	if best == "" && len(continued) == 1 {
		return continued[0]
	}
	return best
}

// distance is the optimal string alignment distance of a and b, or limit if it
// is not below.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			replace := row[j]
			if a[i] != b[j] {
				replace++
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, replace)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return min(row[len(b)], limit)
}
