package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints settings for --help: one line of name, default and explanation each, with the accepted form below
// when it says more than "text".
func WriteTable(w io.Writer, settings []Setting) error {
	tw := tabwriter.NewWriter(w, 0, 4, 3, ' ', 0)
	if _, err := fmt.Fprintln(tw, "  VARIABLE\tDEFAULT\tMEANING"); err != nil {
		return err
	}
	for _, s := range settings {
		if _, err := fmt.Fprintf(tw, "  %s\t%s\t%s\n", s.Name, shown(s.Default), s.About+accepted(s.Form)); err != nil {
			return err
		}
	}
	return tw.Flush()
}

func shown(def string) string {
	if strings.TrimSpace(def) == "" {
		return "-"
	}
	return def
}

func accepted(form string) string {
	if form == "text" {
		return ""
	}
	return " (" + form + ")"
}
