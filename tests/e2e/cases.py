# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cases an end-to-end test has, read from its source: whoever runs it can say which of them were not reported.

Looked for are `with t.case(NAME):` and `t.skip(NAME, ...)` outside of functions. NAME is a string, or a variable or an f-string of
what was given a string above, or runs over strings in a `for`."""
import ast


def of(path):
    """The names, in the order of the source; each once (a case may be run in one branch and skipped in the other)."""
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read(), path)
    return list(dict.fromkeys(_in(tree.body, {}, path)))


def _in(body, known, path):
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = _text(node.value, known)
            known = {**known, node.targets[0].id: value} if value is not None else known
        elif isinstance(node, ast.For) and isinstance(node.iter, (ast.Tuple, ast.List)) and isinstance(node.target, ast.Name):
            for element in node.iter.elts:
                yield from _in(node.body, {**known, node.target.id: _text(element, known)}, path)
        elif not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for call in _calls(node):
                name = _text(call.args[0], known)
                if name is None:
                    raise ValueError(f"{path}:{call.lineno}: the case has a name that only running it tells; see cases.py")
                yield name
            for part in ("body", "orelse", "finalbody"):
                yield from _in(getattr(node, part, []), known, path)


def _calls(node):
    """The t.case and t.skip of this statement, without those of the statements in it."""
    found = [item.context_expr for item in node.items] if isinstance(node, ast.With) else [node.value] if isinstance(node, ast.Expr) else []
    return [c for c in found if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute) and c.func.attr in ("case", "skip")
            and isinstance(c.func.value, ast.Name) and c.func.value.id == "t"]


def _text(node, known):
    """What a string expression is; None where that is not known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.JoinedStr):
        parts = [_text(p.value if isinstance(p, ast.FormattedValue) else p, known) for p in node.values]
        return None if None in parts else "".join(parts)
    return None


def missing(names, lines):
    """Of these cases the ones that none of these lines reports."""
    left = list(names)
    for line in lines:
        for word in ("ok ", "not ok ", "skip "):
            if line.startswith(word):
                said = line[len(word):]
                meant = [n for n in left if said == n or said.startswith(n + " ")]
                if meant:
                    left.remove(max(meant, key=len))
    return left
