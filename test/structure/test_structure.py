"""The structure check against small made-up crates: it must find each circle, and no circle where none is."""

import pathlib
import tempfile
import unittest

import circles
import crates
import documents
import imports


class MadeUp(unittest.TestCase):
    """Writes crates of a few files, and reads their circles."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, files: dict[str, str]) -> pathlib.Path:
        for name, text in files.items():
            file = self.root / "it/src" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return self.root / "it/src/lib.rs"

    def circles(self, files: dict[str, str]) -> list[circles.Circle]:
        return circles.of_program(self.write(files), self.root)

    def members(self, files: dict[str, str]) -> list[list[str]]:
        return [sorted(member.removeprefix("it/src/") for member in one.members) for one in self.circles(files)]

    def imported(self, files: dict[str, str]) -> set[tuple[str, str]]:
        found = imports.of_root(self.write(files))
        return {(one.source.name, one.target.name) for one in found}


class Circles(MadeUp):
    def test_one_way_is_no_circle(self):
        files = {"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;", "b.rs": "pub struct B;"}
        self.assertEqual(self.circles(files), [])

    def test_two_files_that_import_each_other(self):
        files = {"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;\npub struct A;", "b.rs": "\nuse super::a::A;"}
        of_files, of_modules = self.circles(files)
        self.assertEqual(sorted(of_files.members), ["it/src/a.rs", "it/src/b.rs"])
        self.assertEqual(sorted(of_modules.members), ["it/src/a", "it/src/b"])
        words = [step.words for step in of_files.steps]
        self.assertIn("it/src/b.rs:2 names super::a::A, of it/src/a.rs", words)

    def test_a_long_way_around(self):
        files = {"lib.rs": "mod a; mod b; mod c; mod d;", "d.rs": "fn d() { crate::a::a() }"}
        files |= {"a.rs": "fn a() { crate::b::b() }", "b.rs": "fn b() { crate::c::c() }", "c.rs": "fn c() { crate::a::a() }"}
        self.assertEqual(self.members(files), [["a.rs", "b.rs", "c.rs"], ["a", "b", "c"]])

    def test_modules_in_a_circle_whose_files_are_in_none(self):
        files = {"lib.rs": "mod a; mod b;", "a.rs": "mod low; mod high;", "b.rs": "use crate::a::low::Low;"}
        files |= {"a/low.rs": "pub struct Low;", "a/high.rs": "use crate::b::B;"}
        self.assertEqual(self.members(files), [["a", "b"]])

    def test_a_module_and_its_child(self):
        files = {"lib.rs": "mod a;", "a.rs": "mod b; fn a() { b::b() }", "a/b.rs": "use super::a;"}
        self.assertEqual(self.members(files), [["a.rs", "a/b.rs"]])

    def test_a_reexport_is_no_import_and_is_followed(self):
        files = {"lib.rs": "mod a; mod b; mod c;", "a.rs": "mod x; pub(crate) use x::X;", "a/x.rs": "use crate::b::B; pub struct X;"}
        files |= {"b.rs": "pub struct B;", "c.rs": "use crate::a::X;"}
        self.assertEqual(self.imported(files), {("x.rs", "b.rs"), ("c.rs", "x.rs")})
        self.assertEqual(self.members(files | {"b.rs": "use crate::a::X;"}), [["a/x.rs", "b.rs"], ["a", "b"]])
        by_glob = {"a.rs": "mod x; pub use x::*;", "b.rs": "use crate::a::X;"}
        self.assertEqual(self.members(files | by_glob), [["a/x.rs", "b.rs"], ["a", "b"]])


class Imports(MadeUp):
    def test_each_way_to_name_something(self):
        for text in (
            "use crate::b::B;",
            "use super::b::*;",
            "fn a() -> crate::b::B { todo!() }",
            "fn a() { use crate::{b as it}; it::b(); }",
            "#[derive(Debug)] struct A(pub(crate) crate::b::B);",
            '#[serde(with = "crate::b")] struct A;',
            "#[utoipa::path(body = crate::b::B)] fn a() {}",
            "fn a() { vec![super::b::B]; }",
            "mod inner { use super::super::b::B; }",
            "fn a<'b>(_: &'b str) { let _ = ('\"', '\\'', b'x', crate::b::B); }",
            'fn a() { (r#"a " in it"#, crate::b::B); }',
            "#[cfg(test)] mod tests { use crate::c::C; } use crate::b::B;",
            "#[cfg(test)] use crate::c::{C}; use crate::b::B;",
            "struct A { #[cfg(test)] c: crate::c::C, b: crate::b::B }",
            "#[cfg(not(test))] use crate::b::B;",
        ):
            with self.subTest(text):
                files = {"lib.rs": "mod a; mod b; mod c;", "a.rs": text, "b.rs": "", "c.rs": ""}
                self.assertEqual(self.imported(files), {("a.rs", "b.rs")})

    def test_a_use_of_several(self):
        for text in ("use crate::{b, c};", "use crate::{c::C, b::{self, B as Other}};", "use super::{b::{B}, c::{C,}};"):
            with self.subTest(text):
                files = {"lib.rs": "mod a; mod b; mod c;", "a.rs": text, "b.rs": "", "c.rs": ""}
                self.assertEqual(self.imported(files), {("a.rs", "b.rs"), ("a.rs", "c.rs")})

    def test_what_names_nothing(self):
        for text in (
            "// use crate::b::B;",
            "/* /* nested */ use crate::b::B; */ fn a() {}",
            "/// [`crate::b::B`]\nfn a() {}",
            'const A: &str = "use crate::b::B; \\" crate::b";',
            'const A: &str = r##"crate::b::B "# "##;',
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "#[cfg(all(test, unix))] #[allow(x)] pub(crate) fn a(x: [u8; 3]) { crate::b::b() }",
            "#![cfg(test)] use crate::b::B;",
            "pub(in crate::b) struct A;",
            "use b::B; fn a() { other::b::B; }",
        ):
            with self.subTest(text):
                found = self.imported({"lib.rs": "mod a; mod b;", "a.rs": text, "b.rs": ""})
                self.assertEqual(found, set())

    def test_a_module_without_a_file_is_told(self):
        with self.assertRaisesRegex(ValueError, "lib.rs:2: the module a has no file"):
            self.imported({"lib.rs": "\nmod a;"})


class Fault(unittest.TestCase):
    def test_a_circle_is_told_with_the_shortest_way_around(self):
        steps = [circles.Step(*ends, f"{ends[0]} names {ends[1]}") for ends in ("ab", "ba", "bc", "cd", "da")]
        (circle,) = circles.circles(steps)
        said = circles.fault(circle)
        self.assertTrue(said.startswith("a circle of imports among a b c d; one way around it:"))
        self.assertTrue(said.endswith(":\n    a names b\n    b names a"))


class Crates(unittest.TestCase):
    DOCUMENT = f"""
{crates.HEADER} why |
|---|---|---|---|
| `core` | | | the rules |
| `sdk` | `core` | | what `owners` embed |
| `test/e2e` | `sdk` | `core` | tests |

| `other` | `table` | | |
"""

    def faults(self, **changed: tuple[list[str], list[str]]) -> list[str]:
        wanted = crates.of_document(self.DOCUMENT)
        there = {"core": ([], []), "sdk": (["core"], []), "test/e2e": (["sdk"], ["core"])} | changed
        packages = []
        for crate, columns in there.items():
            folder = f"/it/{crate}" if crate.startswith("test/") else f"/it/crates/{crate}"
            kinds = zip((None, "dev"), columns)
            within = [{"path": f"/it/crates/{one}", "kind": kind} for kind, names in kinds for one in names]
            packages.append({"manifest_path": f"{folder}/Cargo.toml", "dependencies": [{"kind": None}, *within]})
        return crates.faults(wanted, crates.of_cargo({"workspace_root": "/it", "packages": packages}))

    def test_as_written(self):
        self.assertEqual(self.faults(), [])

    def test_a_dependency_against_its_row(self):
        self.assertEqual(self.faults(core=(["sdk"], [])), ["core depends on sdk, against its row"])
        self.assertEqual(self.faults(sdk=([], [])), ["sdk no longer depends on core"])

    def test_a_crate_without_a_row(self):
        self.assertEqual(self.faults(new=([], [])), ["the crate new has no row"])

    def test_rows_in_a_circle(self):
        table = {"core": ({"sdk"}, set()), "sdk": ({"core"}, set())}
        self.assertEqual(crates.faults(table, table), ["core depends on sdk, which has no row above it"])

    def test_nothing_depends_on_test(self):
        table = {"test/e2e": (set(), set()), "core": (set(), {"test/e2e"})}
        said = ["core depends in its tests on test/e2e: nothing may depend on test/"]
        self.assertEqual(crates.faults(table, table), said)


class Documents(MadeUp):
    def faults(self, text: str) -> list[str]:
        document = self.root / "docs/it.md"
        document.parent.mkdir()
        (self.root / "scripts").mkdir()
        (self.root / "scripts/check").touch()
        document.write_text(text)
        return documents.faults([document], self.root)

    def test_what_is_there(self):
        text = "[a](it.md), [b](../scripts/check#part), [c](#here), [d](https://example.org/x), `scripts/check`,\n"
        self.assertEqual(self.faults(text + "`scripts/`, `scripts/c*`, `docs/it.md`, `elsewhere/x`, `/docs`"), [])

    def test_what_is_not(self):
        said = self.faults("\n[a](gone.md) `scripts/gone` `test/*.rs`")
        self.assertEqual(said, [
            "docs/it.md:2: the link gone.md leads nowhere",
            "docs/it.md:2: there is no scripts/gone",
            "docs/it.md:2: there is no test/*.rs",
        ])


if __name__ == "__main__":
    unittest.main()
