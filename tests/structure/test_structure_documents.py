"""What the documents point at is there, and what every repository should have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from source_tree import ROOT, files, in_folder, texts

PAGES = [path for path in texts() if path.suffix == ".md"]
DOCUMENTS = [path for path in PAGES if path.parent == Path() or in_folder(path, "docs")]
DECISIONS = [path for path in DOCUMENTS if path.parent == Path("docs/decisions")]
TARGETS = set(re.findall(r"^([a-z][\w-]*):", texts()[Path("Makefile")], re.MULTILINE))
EXAMPLES = [path for path in files() if in_folder(path, "examples") and path.suffix == ".py"]


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(<?([^)\s>]+)>?[^)]*\)", without_code(texts()[document])):
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "http://127.0.0.1", "mailto:")), target
            continue
        path, _, anchor = target.partition("#")
        found = ROOT / document.parent / path if path else ROOT / document
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), target


FOR_THE_READER_TO_WRITE = {"workers/tasks/greeting.py"}


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path not in DECISIONS], ids=str)
def test_every_file_that_is_named_exists(document: Path) -> None:
    """Decisions may name what was not built."""
    code = set(re.findall(r"`([\w./-]+\.(?:py|lua|md|sh|toml|json|txt))`", texts()[document]))
    for name in code - FOR_THE_READER_TO_WRITE:
        if "/" in name and not name.startswith((".", "/")):
            assert (ROOT / name).exists() or (ROOT / document.parent / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]*`", texts()[document], flags=re.DOTALL))
    assert set(re.findall(r"\bmake ([a-z][\w-]*)", code)) <= TARGETS


def test_every_target_is_explained_by_make_help() -> None:
    explained = set(re.findall(r"^([a-z][\w-]*):.*?## \S", texts()[Path("Makefile")], re.MULTILINE))
    assert {"up", "demo", "test", "bench", "clean"} <= explained


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if in_folder(path, "docs")], ids=str)
def test_every_page_can_be_found_from_the_readme(document: Path) -> None:
    found, todo = {Path("README.md")}, [Path("README.md")]
    while todo:
        page = todo.pop()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", without_code(texts()[page])):
            if re.match(r"[a-z]+:", target):
                continue
            absolute = (ROOT / page.parent / target).resolve()
            if not absolute.is_relative_to(ROOT):
                continue
            if absolute.is_dir():
                found |= {path for path in DOCUMENTS if (ROOT / path).parent == absolute}
                continue
            there = absolute.relative_to(ROOT)
            if there in texts() and there not in found and there.suffix == ".md":
                found.add(there)
                todo.append(there)
    assert document in found


def test_there_are_decisions() -> None:
    assert DECISIONS


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_context_choice_and_consequence_on_half_a_page(decision: Path) -> None:
    text = texts()[decision]
    number, _, _ = decision.name.partition("-")
    assert re.match(rf"# {int(number)}\. \S", text)
    parts = re.findall(r"^\*\*(\w+)\.\*\* \S", text, re.MULTILINE)
    assert parts == ["Context", "Choice", "Consequence"]
    assert len(text.splitlines()) <= 40


def test_no_two_decisions_share_a_number() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert sorted(set(numbers)) == numbers


def test_the_changelog_has_a_heading_for_what_is_in_the_tree() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", texts()[Path("CHANGELOG.md")], re.MULTILINE)
    assert headings
    assert all(re.fullmatch(r"Unreleased|\d+\.\d+\.\d+", heading) for heading in headings)


def test_the_licence_is_mit_and_the_package_says_so() -> None:
    licence = texts()[Path("LICENSE")]
    assert licence.startswith("MIT License")
    assert "WITHOUT WARRANTY OF ANY KIND" in licence
    assert 'license = "MIT"' in texts()[Path("pyproject.toml")]


def test_the_readme_begins_with_the_two_commands() -> None:
    top = "\n".join(texts()[Path("README.md")].splitlines()[:20])
    assert "make up" in top
    assert "make test" in top


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_compiles_and_says_what_it_shows(example: Path) -> None:
    code = compile(texts()[example], str(example), "exec", dont_inherit=True)
    assert code.co_consts[0].strip() if isinstance(code.co_consts[0], str) else False


def test_every_python_block_of_the_documents_compiles() -> None:
    blocks = [
        (document, block)
        for document in DOCUMENTS
        for block in re.findall(r"```python\n(.*?)```", texts()[document], re.DOTALL)
    ]
    assert len(blocks) >= 5
    for document, block in blocks:
        compile(block, str(document), "exec", dont_inherit=True)
