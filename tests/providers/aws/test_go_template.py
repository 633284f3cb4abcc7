"""Templates written for another product render as they did there, and what is not understood is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratos.base.errors import Invalid
from stratos.providers.aws.user_data.go_template import render

DATA = {"Labels": {"zone": "b", "app": "ci"}, "Taints": ["gpu=yes:NoSchedule"], "MaxPods": 7, "None": [], "On": True}


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "app=ci zone=b "),  # keys in order, as in Go
        ("{{range $i, $t := .Taints}}{{$i}}:{{$t}}{{end}}", "0:gpu=yes:NoSchedule"),
        ("{{range .Taints}}[{{.}}]{{end}}{{range .None}}{{.}}{{else}}none{{end}}", "[gpu=yes:NoSchedule]none"),
        ("{{if eq .MaxPods 1}}one{{else if gt .MaxPods 5}}many{{else}}few{{end}}", "many"),
        ("{{if and .On (not .None) (le (len .Labels) 2)}}yes{{end}}", "yes"),
        ('a \n {{- /* why */ -}} \n b{{ `c` }}{{ "d\\n" }}{{ true }}', "abcd\ntrue"),
        ('{{ index .Labels "app" }} {{ $.MaxPods }} {{ .Labels.zone }}', "ci 7 b"),
    ],
)
def test_what_go_renders_is_rendered_alike(template: str, rendered: str) -> None:
    assert render(template, DATA) == rendered


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("\n{{ .Zone }}", r"line 2.*\.Zone"),
        ("{{ printf `%s` .MaxPods }}", "printf"),
        ("{{ .MaxPods | quote }}", r"\| quote"),
        ("{{ with .Labels }}{{ end }}", "with"),
        ("{{ $x := 1 }}", ":="),
        ("{{ $x }}", r"\$x"),
        ("{{ if .On }}never closed", "has no end"),
        ("{{ if .On", "not closed"),
        ("{{ end }}", "end"),
        ("{{ .Labels }}", "several values"),
        ("{{ range .MaxPods }}{{ end }}", "range needs several values"),
        ('{{ gt .MaxPods "a" }}', "gt"),
        ("{{ eq ( .MaxPods }}", "breaks off"),
    ],
)
def test_what_is_not_understood_is_named_with_its_line(template: str, named: str) -> None:
    """A machine with half a configuration would boot, cost money and never join."""
    with pytest.raises(Invalid, match=named):
        render(template, DATA)


@given(st.text(alphabet='{}.$-:=|()"` \nabcifendrange/*', max_size=60))
def test_any_text_renders_or_is_refused(template: str) -> None:
    """Users' mistakes end in an error of ours, never in a traceback."""
    try:
        assert isinstance(render(template, DATA), str)
    except Invalid as error:
        assert error.message.startswith("line ")
