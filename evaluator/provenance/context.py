"""A file together with what its names mean: the environment at every place of its tree.

The environments come from observed calls where a lambda was called, and are opened here for ``let``,
``rec`` and ``with``; every one is opened once, so that asking twice costs once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from evaluator.code.attrsets import missing_attribute, note_definition
from evaluator.code.functions import FormalsLambda
from evaluator.io.files import ParsedFile
from evaluator.lowering.lower import Lowering
from evaluator.lowering.scope import Scope
from evaluator.names import bindings_of
from evaluator.runtime.brief import expected
from evaluator.runtime.errors import EvalError, HoleForced
from evaluator.runtime.source import Place
from evaluator.runtime.values import Attrs, Closure, Code, Env, Thunk, force
from evaluator.session import Session, base_env
from evaluator.syntax import tree
from evaluator.syntax.cursor import Place as TreePlace
from evaluator.syntax.cursor import child_base, children, path_at

#: What functions that nobody calls name a package set.
_PACKAGE_SETS: Final = frozenset(["final", "prev", "super", "pkgs"])


class Value:
    """A forced value, and where the attribute, formal or binding that holds it stands."""

    def __init__(self, value: object, defined: Place | None) -> None:
        self.value: Final = value
        self.defined: Final = defined


class _Unknown(Code):
    """An argument that nobody passes: harmless until its value is needed."""

    def __init__(self, name: str, place: Place | None) -> None:
        self._name = name
        self._place = place

    def place(self) -> Place | None:
        return self._place

    def eval(self, env: Env) -> object:
        raise HoleForced(f"nothing that calls this function is known, so '{self._name}' has no value", self._place)


def unknown(name: str, place: Place | None = None) -> Thunk:
    """An argument without a value: asking for it raises HoleForced."""
    return Thunk(_Unknown(name, place), base_env())


class Site:
    """The static scope and the environment in which a part of the file is evaluated."""

    def __init__(self, scope: Scope, env: Env) -> None:
        self.scope: Final = scope
        self.env: Final = env


def unwrapped(expr: tree.Expr) -> tree.Expr:
    """The expression inside parentheses, or before what fits nowhere."""
    while isinstance(expr, tree.Paren | tree.Broken):
        expr = expr.inner if isinstance(expr, tree.Paren) else expr.parts[0]
    return expr


def chain_to(root: tree.Expr, start: int, end: int) -> list[TreePlace]:
    """From the root to the innermost node with exactly this absolute range; empty when there is none.

    The text inside a string or path is no node of its own here.
    """
    chain = [TreePlace(root, 0)]
    best: list[TreePlace] = []
    while True:
        link = chain[-1]
        if link.start == start and link.end == end:
            best = list(chain)
        base = child_base(link.node, link.base)
        for child in children(link.node):
            if base + child.start <= start and end <= base + child.end and not isinstance(child, tree.Text):
                chain.append(TreePlace(child, base))
                break
        else:
            return best


class FileContext:
    """One version of a file's text, its tree, and the environments of its parts.

    ``route`` says in words how the file was reached (empty: it was not). ``given`` are the arguments
    that its outermost functions get, outermost first.
    """

    def __init__(
        self, session: Session, parsed: ParsedFile, route: str, given: Sequence[object], fallback: Attrs | None
    ) -> None:
        self.session: Final = session
        self.parsed: Final = parsed
        self.route: Final = route
        self.given: Final = list(given)
        self.fallback: Final = fallback
        self.lowering: Final = Lowering(session, parsed.file, os.path.dirname(parsed.file.path) or "/")
        self._sites: dict[tuple[int, int, int], Site] = {}
        self._top: Final = Site(Scope(None, {}), base_env())
        self._result: object = None
        #: Of a flake: what its outputs are.
        self.outputs: Thunk | None = None
        #: Of a flake: the package set that it is locked to, worked out when a name needs it.
        self.packages: Thunk | None = None
        #: Elements of string contexts that evaluation may miss, and where the file asks for them.
        self.asked_at: Final[dict[str, Place]] = {}

    # --- running the file ----------------------------------------------------------------------

    def run(self) -> object:
        """The file's forced value with its arguments passed; the way there is observed. Raises EvalError."""
        if self._result is None:
            value = self.lowering.expr(self.parsed.source.root, 0, self._top.scope).eval(self._top.env)
            for argument in self.given:
                if not isinstance(value, Closure):
                    break
                code = value.function
                value = code.call(value.env, self.completed(code, argument))
            self._result = value
        return self._result

    def completed(self, code: object, argument: object) -> object:
        """``argument`` with what the function's formals want and it lacks, by name from the package set.

        And without what the formals no longer name: the text may have changed since the call was observed.
        """
        if not isinstance(code, FormalsLambda) or not isinstance(argument, Attrs):
            return argument
        items = dict(argument.items)
        for index, name in enumerate(code.names):
            if name not in items and code.defaults[index] is None:
                items[name] = self._by_name(name, code.positions.find(name) or code.place())
        if not code.ellipsis:
            known = set(code.names)
            items = {name: value for name, value in items.items() if name in known}
        return Attrs(items, argument.positions)

    # --- environments --------------------------------------------------------------------------

    def site(self, chain: Sequence[TreePlace]) -> Site:
        """The site at the last node of a chain from the root."""
        site = self._top
        for index in range(len(chain) - 1):
            outer, below = chain[index], chain[index + 1]
            node = outer.node
            if isinstance(node, tree.Lambda):
                if below.node is not node.name:
                    site = self._opened(outer, site, chain[: index + 1])
            elif isinstance(node, tree.With):
                if below.node is node.body:
                    site = self._opened(outer, site)
            elif isinstance(node, tree.Let | tree.LegacyLet) or (isinstance(node, tree.AttrSet) and node.recursive):
                if isinstance(below.node, tree.Inherit) and below.node.source is None:
                    continue
                site = self._opened(outer, site)
        return site

    def _opened(self, link: TreePlace, outside: Site, chain: Sequence[TreePlace] = ()) -> Site:
        key = (link.start, link.end, id(link.node))
        site = self._sites.get(key)
        if site is None:
            site = self._open(link, outside, chain)
            self._sites[key] = site
        return site

    def _open(self, link: TreePlace, outside: Site, chain: Sequence[TreePlace]) -> Site:
        node = link.node
        if isinstance(node, tree.Lambda):
            if not self.session.calls(self.parsed.file, link.start):
                self.provoke(chain)
            return self._called(node, link, outside)
        if isinstance(node, tree.With):
            namespace = self.lowering.later(node.namespace, child_base(link.node, link.base), outside.scope, "")
            env: Env = [outside.env, namespace.thunk(outside.env)]
            return Site(Scope(outside.scope, None), env)
        scope, code = self.lowering.opened(bindings_of(node), child_base(link.node, link.base), outside.scope)
        return Site(scope, code.enter(outside.env))

    def _called(self, node: tree.Lambda, link: TreePlace, outside: Site) -> Site:
        scope = self.lowering.lambda_scope(node, outside.scope)
        calls = self.session.calls(self.parsed.file, link.start)
        if calls:
            return Site(scope, calls[0])
        return Site(scope, self._assumed(node, link, outside))

    def provoke(self, chain: Sequence[TreePlace]) -> None:
        """Evaluates the calls that the node at a chain's end is an argument of, or a part of one, the nearest first.

        So that what stands there is called, if it is a function, or imported. Of a set that comes of it those
        attributes are looked at that a caller would.
        """
        end = len(chain) - 1
        while end > 0 and _is_part_of_argument(chain[end - 1].node):
            end -= 1
            link = chain[end]
            above = chain[end - 1].node if end > 0 else None
            if isinstance(link.node, tree.Apply) and not isinstance(above, tree.Apply):
                with suppress(EvalError):
                    self._look_into(self.evaluate(link.node, link.base, self.site(chain[: end + 1])))

    def _look_into(self, value: object) -> None:
        if isinstance(value, list):
            for element in value[:1]:
                force(element)
        elif isinstance(value, Attrs):
            if quiet(value, "type") == "derivation":
                quiet(value, "drvPath")
            elif value.has("config") and value.has("options"):
                quiet(value, "config")
            elif value.has(self.session.system):
                quiet(value, self.session.system)
            else:
                for name in sorted(value.items)[:1]:
                    quiet(value, name)

    def _assumed(self, node: tree.Lambda, link: TreePlace, outside: Site) -> Env:
        """An environment for a lambda that nobody was seen to call: defaults, names of the package set, holes."""
        place = Place(self.parsed.file, link.start, link.end)
        if node.formals is None:
            name = "" if node.name is None else node.name.name
            packages = self._packages() if name in _PACKAGE_SETS else None
            env: Env = [outside.env, unknown(name, place) if packages is None else packages]
            return env
        env = [outside.env, Attrs({}, None)]
        scope = self.lowering.lambda_scope(node, outside.scope)
        for formal in node.formals.formals:
            env.append(self._by_name(formal.name.name, place) if formal.default is None else None)
        for slot, formal in enumerate(node.formals.formals, 2):
            if formal.default is not None:
                env[slot] = self.lowering.later(formal.default, child_base(link.node, link.base), scope, "").thunk(env)
        return env

    def _by_name(self, name: str, place: Place) -> object:
        packages = self._packages()
        found = None if packages is None else packages.items.get(name)
        return unknown(name, place) if found is None else found

    def _packages(self) -> Attrs | None:
        """The package set that names which nobody passes are taken from."""
        if self.fallback is None and self.packages is not None:
            with suppress(EvalError):
                packages = force(self.packages)
                return packages if isinstance(packages, Attrs) else None
        return self.fallback

    def namespaces(self, offset: int) -> list[Attrs]:
        """The sets of the ``with`` expressions around an offset, innermost first; those that fail are left out."""
        chain = path_at(self.parsed.source, offset).places
        found: list[Attrs] = []
        for index in range(len(chain) - 1, 0, -1):
            outer, below = chain[index - 1], chain[index]
            if isinstance(outer.node, tree.With) and below.node is outer.node.body:
                try:
                    namespace = force(self._opened(outer, self.site(chain[:index])).env[1])
                except EvalError:
                    continue
                if isinstance(namespace, Attrs):
                    found.append(namespace)
        return found

    # --- values --------------------------------------------------------------------------------

    def evaluate(self, expr: tree.Expr, base: int, site: Site) -> object:
        """The forced value of an expression at a site. Raises EvalError."""
        return self.lowering.expr(expr, base, site.scope).eval(site.env)

    def value_at(self, chain: Sequence[TreePlace]) -> Value:
        """The value of the node at the end of a chain: an expression, or a name that holds a value.

        Raises EvalError; HoleForced when the node is nothing that has a value.
        """
        link = chain[-1]
        node = link.node
        if isinstance(node, tree.Var):
            return self._variable(node.name, chain)
        if isinstance(node, tree.Select) and node.default is None:
            steps = node.path.steps
            subject = self._subject(chain, node, len(steps) - 1)
            return self._selected(subject, steps[-1], child_base(link.node, link.base), self.site(chain))
        if isinstance(node, tree.Expr):
            owner = chain[-2].node if len(chain) > 1 else None
            if not (isinstance(node, tree.Str) and isinstance(owner, tree.AttrPath | tree.Inherit)):
                return Value(self.evaluate(node, link.base, self.site(chain)), None)
        return self._named(chain)

    def _named(self, chain: Sequence[TreePlace]) -> Value:
        """The value behind a name that is no expression: an attribute's, a formal's, an inherited one's."""
        link = chain[-1]
        node = link.node
        owner = chain[-2] if len(chain) > 1 else None
        if owner is not None:
            if isinstance(owner.node, tree.AttrPath):
                return self._step(chain, owner.node)
            if isinstance(owner.node, tree.Formal) and isinstance(node, tree.Name):
                return self._variable(node.name, chain)
            if isinstance(owner.node, tree.Lambda) and isinstance(node, tree.Name):
                site = self._opened(owner, self.site(chain[:-1]), chain[:-1])
                return self._read(node.name, link.start, site)
            if isinstance(owner.node, tree.Inherit):
                return self._inherited(chain, owner.node)
        raise HoleForced("nothing here has a value", Place(self.parsed.file, link.start, link.end))

    def _variable(self, name: str, chain: Sequence[TreePlace]) -> Value:
        return self._read(name, chain[-1].start, self.site(chain))

    def _read(self, name: str, start: int, site: Site) -> Value:
        value = self.lowering.variable(name, start, site.scope).eval(site.env)
        return Value(value, self._where_bound(name, site))

    def _where_bound(self, name: str, site: Site) -> Place | None:
        """Where what a variable names was defined: for a formal the attribute that the caller passed."""
        scope: Scope | None = site.scope
        at: object = site.env
        while scope is not None and isinstance(at, list):
            if scope.slots is None:
                namespace = force(at[1])
                if isinstance(namespace, Attrs) and name in namespace.items and not self._binds_outside(name, scope):
                    return namespace.place_of(name)
            elif name in scope.slots:
                given = at[1] if len(at) > 1 else None
                if scope.slots[name] >= 2 and isinstance(given, Attrs) and name in given.items:
                    return given.place_of(name)
                return None
            scope = scope.parent
            at = at[0]
        return None

    def _binds_outside(self, name: str, scope: Scope) -> bool:
        at = scope.parent
        while at is not None:
            if at.slots is not None and name in at.slots:
                return True
            at = at.parent
        return name in self.session.globals

    def _step(self, chain: Sequence[TreePlace], path: tree.AttrPath) -> Value:
        """The value of an attribute path up to the step at the chain's end."""
        step = chain[-1].node
        index = next(i for i, other in enumerate(path.steps) if other is step)
        holder = chain[-3]
        node = holder.node
        if isinstance(node, tree.Select | tree.HasAttr):
            subject = self._subject(chain[:-2], node, index)
            return self._selected(subject, step, chain[-1].base, self.site(chain[:-2]))
        if isinstance(node, tree.AttrBinding):
            owner = chain[-4]
            base = chain[-1].base
            if isinstance(owner.node, tree.Let | tree.LegacyLet):
                site = self._opened(owner, self.site(chain[:-3]))
                name = self.lowering.static_name(path.steps[0], base)
                if name is None:
                    raise HoleForced("this name is computed", Place(self.parsed.file, chain[-1].start, chain[-1].end))
                result = self._read(name, chain[-1].start, site)
                site_outside = site
                steps = path.steps[1 : index + 1]
            else:
                assert isinstance(owner.node, tree.Expr)
                site_outside = self.site(chain[:-3])
                result = Value(self.evaluate(owner.node, owner.base, site_outside), None)
                steps = path.steps[: index + 1]
            for inner in steps:
                result = self._selected(result.value, inner, base, site_outside)
            return result
        raise HoleForced("nothing here has a value", Place(self.parsed.file, chain[-1].start, chain[-1].end))

    def _subject(self, chain: Sequence[TreePlace], node: tree.Select | tree.HasAttr, index: int) -> object:
        """What the step at ``index`` of a selection selects from."""
        link = chain[-1]
        site = self.site(chain)
        value = self.evaluate(node.subject, child_base(link.node, link.base), site)
        for step in node.path.steps[:index]:
            value = self._selected(value, step, child_base(link.node, link.base), site).value
        return value

    def _selected(self, value: object, step: tree.Node, base: int, site: Site) -> Value:
        place = Place(self.parsed.file, base + step.start, base + step.end)
        if isinstance(step, tree.Missing):
            raise HoleForced("there is no attribute name here yet", place)
        name = self.lowering.step(step, base, site.scope).eval(site.env)
        return select(value, name if isinstance(name, str) else "", place)

    def _inherited(self, chain: Sequence[TreePlace], clause: tree.Inherit) -> Value:
        link = chain[-1]
        name = self.lowering.static_name(link.node, link.base)
        if name is None:
            raise HoleForced("this name is computed", Place(self.parsed.file, link.start, link.end))
        holder = chain[-2]
        if clause.source is None:
            return self._read(name, link.start, self.site(chain))
        source_chain = [*chain[:-1], TreePlace(clause.source, child_base(holder.node, holder.base))]
        value = self.evaluate(clause.source, child_base(holder.node, holder.base), self.site(source_chain))
        return select(value, name, Place(self.parsed.file, link.start, link.end))


def _is_part_of_argument(node: tree.Node) -> bool:
    """Whether what stands in ``node`` may be called or imported by who gets the whole of it."""
    return isinstance(
        node,
        tree.Apply | tree.Paren | tree.ListExpr | tree.AttrSet | tree.AttrBinding | tree.Binary | tree.Broken,
    )


def select(value: object, name: str, place: Place | None) -> Value:
    """An attribute of a forced value with the place of its definition. Raises TypeFault, MissingAttribute."""
    if not isinstance(value, Attrs):
        raise expected("a set", value, place)
    try:
        found = value.get(name)
    except EvalError as error:
        note_definition(error, name, value.place_of(name))
        error.note(f"while evaluating the attribute '{name}'", place)
        raise
    if found is None:
        raise missing_attribute(name, value, place)
    return Value(found, value.place_of(name))


def quiet(attrs: Attrs, name: str) -> object:
    """An attribute's forced value; None when it is missing or fails."""
    try:
        return attrs.get(name)
    except EvalError:
        return None
