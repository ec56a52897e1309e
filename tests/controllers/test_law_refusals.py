"""Broken and hostile laws: each is refused at its own place, with its own words, and never by a crash."""

from __future__ import annotations

import pytest

from controllers.law import CheckedLaw, check_law
from controllers.manifest import parse_manifest
from core.errors import LawError
from core.ports import Ports

MANIFEST = b"""
name = "test"
version = "1"
summary = "A law for tests"
signals = ["dt", "q", "qd", "inertia"]
[params.k]
unit = "1"
low = 0.0
high = 1.0
max_step = 1.0
effect = "Scales."
[params.kp]
unit = "N*m/rad"
size = 2
low = 0.0
high = 1.0
max_step = 1.0
effect = "Stiffens."
[states.integral]
size = 2
unit = "rad*s"
[states.line]
size = 5
unit = "rad"
[scratch.work]
size = 3
[outputs.tau]
size = 2
unit = "N*m"
"""
TWO = Ports(joints=2, actuators=2, output="tau")
HEAD = "def control(dt, q, qd, inertia, k, kp, integral, line, work, tau):\n"
WRITE = "    tau[0] = 0.0\n    tau[1] = 0.0\n"


def check(source: str | bytes) -> CheckedLaw:
    return check_law(source, parse_manifest(MANIFEST), TWO, "law.py")


def body(text: str) -> str:
    """A law whose line 2 is the first line of `text`, followed by a valid rest."""
    return HEAD + "".join(f"    {line}\n" for line in text.split("\n")) + WRITE


REFUSED = [
    # the outline
    ("empty", "", 1, 1, "write def control(...)"),
    ("no_function", "x = 1\n", 1, 1, "a law is one function"),
    ("two_functions", HEAD + WRITE + HEAD + WRITE, 4, 1, "a law is one function"),
    ("other_name", "def helper(q):\n    pass\n", 1, 1, "a law is one function"),
    ("async", "async " + HEAD + WRITE, 1, 1, "async is not part"),
    ("class", "class A:\n    pass\n", 1, 1, "a class is not part"),
    ("module_import", "import os\n" + HEAD + WRITE, 1, 1, "an import is not part"),
    ("decorator", "@staticmethod\n" + HEAD + WRITE, 1, 2, "a decorator is not part"),
    ("default", "def control(q=print):\n    pass\n", 1, 15, "a default value is not part"),
    ("keyword_default", "def control(*, q=1):\n    pass\n", 1, 18, "a default value is not part"),
    ("star_args", "def control(*q):\n    pass\n", 1, 1, "only plain names may be arguments"),
    ("positional_only", "def control(q, /):\n    pass\n", 1, 1, "only plain names may be arguments"),
    ("annotation", "def control(q: float):\n    pass\n", 1, 13, "an annotation is not part"),
    ("returns", "def control(q) -> float:\n    pass\n", 1, 1, "an annotation is not part"),
    ("type_comment", HEAD[:-1] + "  # type: (int) -> None\n" + WRITE, 1, 1, "an annotation is not part"),
    ("type_comment_below", HEAD + "    # type: (...) -> None\n" + WRITE, 1, 1, "an annotation is not part"),
    ("type_comment_line", body("x = 1.0  # type: float"), 2, 5, "a type comment is not part"),
    ("type_comment_loop", body("for i in range(2):  # type: int\n    pass"), 2, 5, "a type comment is not part"),
    ("type_ignore", body("x = 1.0  # type: ignore"), 2, 1, "a type comment is not part"),
    ("undeclared_argument", HEAD.replace("tau", "tau, secret") + WRITE, 1, 67, "secret is not declared"),
    ("missing_argument", HEAD.replace("kp, ", "") + WRITE, 1, 1, "kp is declared but not an argument"),
    ("function_as_argument", HEAD.replace("tau", "tau, sin") + WRITE, 1, 67, "sin is a function"),
    ("dunder_argument", HEAD.replace("tau", "tau, __class__") + WRITE, 1, 67, "__class__ is not declared"),
    ("docstring_only", HEAD + '    """Nothing."""\n', 1, 1, "the law does nothing"),
    # text
    ("null_byte", HEAD + WRITE + "\0", 4, 1, "U+0000"),
    ("fullwidth_name", body("\uff4b = 1.0"), 2, 5, "U+FF4B"),
    ("cyrillic_name", body("x = k * \u0430"), 2, 13, "U+0430"),
    ("bidi_comment", body("x = 1.0  # \u202e"), 2, 16, "U+202E"),
    ("non_utf8", HEAD.encode() + b"    # \xff\xfe\n" + WRITE.encode(), 2, 7, "U+00FF"),
    ("tab", HEAD + "\ttau[0] = 0.0\n", 2, 1, "a tab; indent with four spaces"),
    ("carriage_return", HEAD + "    # x\r    tau[0] = 1.0\n" + WRITE, 2, 8, "a carriage return"),
    ("form_feed", "\f" + HEAD + WRITE, 1, 1, "U+000C"),
    ("continuation", body("x = 1.0 + \\\n2.0"), 2, 15, "a backslash is not part"),
    ("too_long", HEAD + WRITE + "#" * 70_000, 1, 1, "keep it within 65536"),
    ("syntax", body("x = (1.0"), 2, 9, "not valid syntax"),
    ("unfinished", HEAD, 1, 67, "not valid syntax"),
    ("glued_literal", body("x = 0x1for x in q"), 2, 12, "not valid syntax"),
    # statements
    ("while", body("while k > 0.0:\n    pass"), 2, 5, "write for i in range(constant)"),
    ("import", body("import os"), 2, 5, "an import is not part"),
    ("from_import", body("from os import system"), 2, 5, "an import is not part"),
    ("nested_def", body("def f():\n    pass"), 2, 5, "a nested function is not part"),
    ("try", body("try:\n    pass\nexcept:\n    pass"), 2, 5, "try is not part"),
    ("with", body("with q:\n    pass"), 2, 5, "with is not part"),
    ("raise", body("raise q"), 2, 5, "raise is not part"),
    ("assert", body("assert k"), 2, 5, "assert is not part"),
    ("del", body("del q"), 2, 5, "del is not part"),
    ("global", body("global x"), 2, 5, "global is not part"),
    ("nonlocal", body("nonlocal x"), 2, 5, "nonlocal is not part"),
    ("match", body("match k:\n    case 1.0:\n        pass"), 2, 5, "write if and elif"),
    ("return", body("return"), 2, 5, "return is not part"),
    ("return_value", body("return q"), 2, 5, "return is not part"),
    ("break", body("for i in range(2):\n    break"), 3, 9, "break is not part"),
    ("continue", body("for i in range(2):\n    continue"), 3, 9, "continue is not part"),
    ("yield", body("yield k"), 2, 5, "yield is not part"),
    ("annotated", body("x: float = 1.0"), 2, 5, "an annotation is not part"),
    ("chained_assignment", body("x = y = 1.0"), 2, 5, "a chained assignment is not part"),
    ("unpacking", body("x, y = q"), 2, 5, "a tuple is not part"),
    ("no_effect", body("k + 1.0"), 2, 5, "this line has no effect"),
    ("print", body("print(k)"), 2, 5, "print is not a function"),
    ("for_else", body("for i in range(2):\n    pass\nelse:\n    pass"), 5, 9, "else after for"),
    ("for_over_list", body("for x in q:\n    pass"), 2, 14, "a loop runs over range"),
    ("for_tuple", body("for i, j in range(2):\n    pass"), 2, 9, "a loop counts with one plain name"),
    ("for_subscript", body("for tau[0] in range(2):\n    pass"), 2, 9, "a loop counts with one plain name"),
    ("for_argument", body("for k in range(2):\n    pass"), 2, 9, "k is an argument"),
    ("range_step", body("for i in range(0, 4, 2):\n    pass"), 2, 14, "range takes one or two"),
    ("range_variable", body("for i in range(k):\n    pass"), 2, 20, "the limit of a loop must be a whole number"),
    ("range_float", body("for i in range(2.0):\n    pass"), 2, 20, "the limit of a loop must be a whole number"),
    ("range_empty", body("for i in range(0):\n    pass"), 2, 14, "this loop never runs"),
    ("range_huge", body("for i in range(10**9):\n    pass"), 2, 20, "** is not part"),
    ("range_milliard", body("for i in range(1000000000):\n    pass"), 2, 5, "more than 50000 operations"),
    ("range_beyond", body("for i in range(1000000000 + 1):\n    pass"), 2, 20, "far too large"),
    (
        "nested_ranges",
        body("for i in range(999):\n    for j in range(999):\n        for m in range(999):\n            pass"),
        4,
        13,
        "more than 50000 operations",
    ),
    ("loop_reused", body("for i in range(2):\n    for i in range(2):\n        pass"), 3, 13, "i already counts"),
    ("loop_assigned", body("for i in range(2):\n    i = 0.0"), 3, 9, "i is a loop variable"),
    ("loop_as_number", body("for i in range(2):\n    work[i] = i"), 3, 19, "i counts a loop and is no number"),
    ("loop_after_end", body("for i in range(2):\n    pass\nx = q[i]"), 4, 11, "an index must be a whole number"),
    # expressions
    ("attribute", body("x = q.__class__"), 2, 9, "an attribute (a dot) is not part"),
    ("method", body("q.append(1.0)"), 2, 5, "an attribute (a dot) is not part"),
    ("dunder_name", body("x = __builtins__"), 2, 9, "starts with an underscore"),
    ("underscore_local", body("_x = 1.0"), 2, 5, "starts with an underscore"),
    ("recursion", body("control(q)"), 2, 5, "a law cannot call or name itself"),
    ("recursion_dunder", body("control(__class__)"), 2, 13, "starts with an underscore"),
    ("eval", body("x = eval(q)"), 2, 9, "eval is not a function"),
    ("call_of_call", body("x = sin(1.0)(2.0)"), 2, 9, "only the listed functions can be called"),
    ("call_of_lambda", body("x = (lambda: 1.0)()"), 2, 10, "lambda is not part"),
    ("lambda", body("x = lambda: 1.0"), 2, 9, "lambda is not part"),
    ("keyword", body("x = clip(k, low=0.0, high=1.0)"), 2, 9, "a keyword argument is not part"),
    ("star_call", body("x = max(*q)"), 2, 13, "a star is not part"),
    ("double_star_call", body("x = max(**q)"), 2, 9, "a keyword argument is not part"),
    ("walrus", body("x = (y := 1.0)"), 2, 10, "an assignment inside an expression"),
    ("comprehension", body("x = [a for a in q]"), 2, 9, "a comprehension is not part"),
    ("generator", body("x = max(a for a in q)"), 2, 12, "a generator is not part"),
    ("list", body("x = [1.0] "), 2, 9, "a list is not part"),
    ("dict", body("x = {}"), 2, 9, "a dict is not part"),
    ("set", body("x = {1.0}"), 2, 9, "a set is not part"),
    ("slice", body("x = q[0:1]"), 2, 11, "a slice is not part"),
    ("string", body("x = 'a'"), 2, 9, "a text is not part"),
    ("second_docstring", body("x = 1.0\n'text'"), 3, 5, "a text is not part"),
    ("f_string", body("x = f'{k}'"), 2, 9, "a text is not part"),
    ("bytes", body("x = b'a'"), 2, 9, "a text is not part"),
    ("none", body("x = None"), 2, 9, "None is not part"),
    ("true", body("x = True"), 2, 9, "True is not part"),
    ("ellipsis", body("x = ..."), 2, 9, "Ellipsis is not part"),
    ("complex", body("x = 1j"), 2, 9, "1j is not part"),
    ("infinity", body("x = 1e999"), 2, 9, "too large for a float"),
    ("huge_integer", body("x = 9007199254740993"), 2, 9, "this whole number is too large"),
    ("thousands_of_digits", body("x = " + "9" * 5000), 2, 1, "not valid syntax"),
    ("power", body("x = k ** 2.0"), 2, 9, "write x * x"),
    ("augmented_power", body("x = 1.0\nx **= 2.0"), 3, 5, "write x * x"),
    ("modulo", body("x = k % 2.0"), 2, 9, "% is not part"),
    ("floor_division", body("x = k // 2.0"), 2, 9, "write floor(x / y)"),
    ("matrix_product", body("x = q @ q"), 2, 9, "write dot(a, b)"),
    ("shift", body("x = 1 << 60"), 2, 9, "<< is not part"),
    ("invert", body("x = ~1"), 2, 9, "~ is not part"),
    ("is", body("x = 1.0 if k is k else 0.0"), 2, 16, "write =="),
    ("in", body("x = 1.0 if k in q else 0.0"), 2, 16, "in is not part"),
    ("comparison_as_number", body("x = k < 1.0"), 2, 9, "write 1.0 if a < b else 0.0"),
    ("not_as_number", body("x = not k < 1.0"), 2, 9, "write 0.0 if x else 1.0"),
    ("or_as_number", body("x = k or 1.0"), 2, 9, "is a condition, not a number"),
    ("number_as_condition", body("if k:\n    pass"), 2, 8, "write a comparison such as x != 0.0"),
    ("function_as_value", body("x = sin"), 2, 9, "sin is a function and must be called"),
    ("function_assigned", body("abs = 1.0"), 2, 5, "abs is a function and cannot be assigned"),
    ("range_as_value", body("x = range(3)"), 2, 9, "range belongs to a loop"),
    ("too_few_arguments", body("x = atan2(k)"), 2, 9, "atan2 takes 2 arguments, here 1"),
    ("too_many_arguments", body("x = sin(k, k)"), 2, 9, "sin takes 1 arguments, here 2"),
    ("unknown_name", body("x = speed"), 2, 9, "speed is not defined"),
    # places
    ("argument_assigned", body("k = 1.0"), 2, 5, "k is an argument and cannot be assigned"),
    ("dt_assigned", body("dt = 1.0"), 2, 5, "dt is an argument and cannot be assigned"),
    ("array_assigned", body("tau = q"), 2, 5, "tau is an argument and cannot be assigned"),
    ("parameter_written", body("kp[0] = 1.0"), 2, 5, "kp is a parameter and read-only"),
    ("signal_written", body("q[0] = 1.0"), 2, 5, "q is a signal and read-only"),
    ("matrix_written", body("inertia[0][0] = 1.0"), 2, 5, "inertia is a signal and read-only"),
    ("whole_array", body("x = q + 1.0"), 2, 9, "q is an array; write one entry, such as q[i]"),
    ("whole_matrix", body("x = sin(inertia)"), 2, 13, "such as inertia[i][j]"),
    ("row_as_number", body("x = inertia[0]"), 2, 9, "inertia is a matrix; write inertia[i][j]"),
    ("number_indexed", body("x = k[0]"), 2, 9, "k is a number; write k"),
    ("local_indexed", body("x = 1.0\ny = x[0]"), 3, 9, "this is no array"),
    ("literal_indexed", body("x = 1.0[0]"), 2, 9, "this is no array"),
    ("too_many_indices", body("x = q[0][0]"), 2, 9, "q is a list; write q[i]"),
    ("comma_index", body("x = inertia[0, 1]"), 2, 9, "write m[i][j]"),
    ("float_index", body("x = q[1.0]"), 2, 11, "an index must be a whole number"),
    ("computed_index", body("x = q[k]"), 2, 11, "an index must be a whole number"),
    ("divided_index", body("x = q[2 / 2]"), 2, 11, "an index must be a whole number"),
    ("index_past_end", body("x = q[2]"), 2, 9, "index 2 is outside q; use 0 to 1"),
    ("negative_index", body("x = q[-1]"), 2, 9, "index -1 is outside q"),
    ("loop_past_end", body("for i in range(3):\n    work[i] = q[i]"), 3, 19, "index 2 with i = 2 is outside q"),
    ("off_by_one", body("for i in range(2):\n    work[i] = q[i + 1]"), 3, 19, "index 2 with i = 1 is outside q"),
    ("off_by_minus_one", body("for i in range(2):\n    work[i] = q[i - 1]"), 3, 19, "index -1 with i = 0 is outside q"),
    ("second_index", body("x = inertia[1][2]"), 2, 9, "index 2 is outside inertia"),
    ("affine", body("for i in range(2):\n    work[2 * i + 1] = 0.0"), 3, 9, "index 3 with i = 1 is outside"),
    # paths
    ("local_unassigned", body("y = 1.0\nx = x + y"), 3, 9, "x may be unassigned here"),
    ("local_augmented", body("x += 1.0"), 2, 5, "x may be unassigned here"),
    ("one_branch", body("if k > 0.0:\n    x = 1.0\ny = x"), 4, 9, "x may be unassigned here"),
    ("scratch_unwritten", body("x = work[2]"), 2, 9, "work[2] may be unwritten here"),
    ("scratch_augmented", body("work[0] += 1.0"), 2, 5, "work[0] may be unwritten here"),
    ("scratch_partial", body("for i in range(2):\n    work[i] = 0.0\nx = dot(work, work)"), 4, 13, "work[2] may be"),
    ("output_read_first", body("x = tau[0]"), 2, 9, "tau[0] may be unwritten here"),
    ("output_missing", HEAD + "    tau[0] = 0.0\n", 1, 1, "tau[1] is not written on every path"),
    ("output_in_branch", HEAD + "    if k > 0.0:\n        tau[0] = 0.0\n    tau[1] = 0.0\n", 1, 1, "tau[0] is not"),
    ("output_short_loop", HEAD + "    for i in range(1):\n        tau[i] = 0.0\n", 1, 1, "tau[1] is not written"),
    # the larger functions
    ("dot_lengths", body("work[0] = 0.0\nwork[1] = 0.0\nwork[2] = 0.0\nx = dot(q, work)"), 5, 9, "here 2 and 3"),
    ("dot_of_number", body("x = dot(q, k)"), 2, 16, "k is a number; give an array here"),
    ("dot_of_matrix", body("x = dot(q, inertia)"), 2, 16, "inertia is a matrix; write inertia[i]"),
    ("interp_lengths", body("x = interp(k, q, line)"), 2, 9, "interp needs equal lengths"),
    ("delay_of_signal", body("x = delay(q, k)"), 2, 15, "a delay needs a state"),
    ("delay_inside", body("x = 1.0 + delay(line, k)"), 2, 15, "delay must stand on its own line"),
    ("delay_twice", body("x = delay(line, k)\ny = delay(line, k)"), 3, 9, "line already serves another delay"),
    ("delay_in_loop", body("for i in range(2):\n    x = delay(line, q[i])"), 3, 13, "outside the loop"),
    ("delay_written", body("x = delay(line, k)\nline[0] = 1.0"), 3, 5, "line is a delay line"),
    ("mlp_without_weights", body("mlp(q, q, q, tau)"), 2, 5, "mlp needs weights"),
    ("mlp_as_value", body("x = mlp(q, q, q, tau)"), 2, 9, "mlp must stand on its own line"),
    # nesting
    ("deep_unary", body("x = " + "-" * 20_000 + "1.0"), 1, 1, "nested too deeply"),
    ("deep_sum", body("x = 1.0" + " + 1.0" * 9_000), 1, 1, "nested too deeply"),
    ("long_sum", body("x = 1.0" + " + 1.0" * 60), 2, 87, "nested more than 50 deep"),
    ("deep_parentheses", body("x = " + "(" * 150 + "1.0" + ")" * 150 + " + " + "-" * 60 + "k"), 2, 362, "nested more"),
    ("parentheses", body("x = " + "(" * 300 + "1.0" + ")" * 300), 2, 209, "not valid syntax"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "line", "column", "words"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_law_outside_the_language_is_refused_where_it_is_wrong(
    source: str | bytes, line: int, column: int, words: str
) -> None:
    with pytest.raises(LawError) as caught:
        check(source)
    error = caught.value
    assert words in error.message
    assert (error.line, error.column) == (line, column)
    assert error.file == "law.py"
    assert "\n" not in error.message


LEARNED = HEAD.replace("tau", "w1, b1, w2, b2, tau")
WEIGHTS = b"""
[weights]
w1 = { shape = [5, 2] }
b1 = { shape = [5] }
w2 = { shape = [2, 5] }
b2 = { shape = [2] }
"""


@pytest.mark.parametrize(
    ("call", "column", "words"),
    [
        ("mlp(w1, b1, w2, q, tau)", 5, "mlp takes a weight and a bias per layer"),
        ("mlp(w1, b1, q, tau, w1, b1, q)", 5, "mlp takes a weight and a bias per layer"),
        ("mlp(w1, b1, q)", 5, "mlp takes 4 to 18 arguments, here 3"),
        ("mlp(w2, b2, q, tau)", 9, "this layer is 2 x 5 with 2 biases; it must take 2 inputs"),
        ("mlp(w1, b2, q, tau)", 9, "this layer is 5 x 2 with 2 biases"),
        ("mlp(b1, w1, q, tau)", 9, "a weight with 2 dimensions belongs here"),
        ("mlp(kp, b1, q, tau)", 9, "a weight with 2 dimensions belongs here"),
        ("mlp(w1, b1, q, tau)", 20, "mlp writes 5 numbers"),
        ("mlp(w1, b1, w2, b2, q, integral)", 28, "mlp writes 2 numbers; give an output or scratch"),
        ("mlp(w1, b1, w2, b2, work, tau)", 25, "work[0] may be unwritten here"),
        ("w1[0][0] = 1.0", 5, "w1 is a weight and read-only"),
    ],
)
def test_network_that_does_not_fit_is_refused(call: str, column: int, words: str) -> None:
    with pytest.raises(LawError) as caught:
        check_law(f"{LEARNED}    {call}\n{WRITE}", parse_manifest(MANIFEST + WEIGHTS), TWO, "law.py")
    assert words in caught.value.message
    assert (caught.value.line, caught.value.column) == (2, column)


def test_every_refusal_says_what_to_write_instead() -> None:
    for name, source, *_ in REFUSED:
        with pytest.raises(LawError) as caught:
            check(source)
        assert ";" in caught.value.message, name


def test_the_frame_of_the_refused_laws_is_itself_a_law() -> None:
    assert check(body("pass")).cost < 20
