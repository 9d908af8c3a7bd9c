"""What the project's texts must hold, and what they must not."""

from __future__ import annotations

import ast
import re

import pytest
import yaml

from tests.tidy import sources

# Put together here so that this file does not hold them itself.
PRIVATE_PATHS = re.compile("/(" + "|".join(("work", "root", "home/[a-z]+")) + r")/")


def rooms() -> list[str]:
    """Folders and modules directly below the package: the rooms of the house."""
    folders = {path.parent.name for path in sources.PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in sources.PACKAGE.glob("[!_]*.py")}
    return sorted(folders | modules)


def test_no_text_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{sources.shown(path)}:{number}"
        for path in [*sources.text_files(*sources.FOLDERS), *sources.top_files()]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if PRIVATE_PATHS.search(line)
    ]
    assert found == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        sources.shown(path)
        for path in sources.python_files("src", "bench")
        if not ast.get_docstring(sources.tree(path))
    ]
    assert silent == []


@pytest.mark.parametrize("room", rooms())
def test_the_architecture_has_a_paragraph_for(room: str) -> None:
    text = (sources.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    paragraph = re.search(rf"^\*\*`{room}(?:\.py)?`\*\*[^\n]+(?:\n[^\n]+)*", text, re.MULTILINE)
    assert paragraph is not None
    assert len(paragraph[0]) > 100


def test_the_readme_of_the_examples_lists_every_example() -> None:
    folder = sources.ROOT / "examples"
    text = (folder / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| \[[^\]]+\]\(([^)]+)\)", text, re.MULTILINE))
    assert listed == {path.name for path in folder.iterdir()} - {"README.md", "__pycache__"}


def test_every_example_has_a_readme_that_names_its_files() -> None:
    for folder in (sources.ROOT / "examples").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            text = (folder / "README.md").read_text(encoding="utf-8")
            files = {path.name for path in folder.iterdir() if path.is_file()} - {"README.md"}
            assert [name for name in sorted(files) if name not in text] == [], folder


@pytest.mark.parametrize("item", ["apple", "banana", "cherry"])
def test_the_items_are_what_their_template_makes(item: str) -> None:
    folder = sources.ROOT / "examples" / "items"
    template = (folder / "item.yaml.template").read_text(encoding="utf-8")
    made = (folder / "jobs" / f"{item}.yaml").read_text(encoding="utf-8")
    assert made == template.replace("$ITEM", item)


def test_every_example_says_what_it_shows() -> None:
    for path in sources.text_files("examples"):
        if path.suffix == ".yaml" and path.name != "images.yaml":
            text = path.read_text(encoding="utf-8")
            assert text.startswith("# "), path
            kinds = {document["kind"] for document in yaml.safe_load_all(text)}
            assert kinds <= {"CronJob", "Job", "ReplicaSet", "Service"}, path


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{sources.shown(path)}: {target}"
        for path in [*sources.top_files(), *sources.text_files("docs", "examples")]
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_changelog_knows_this_version() -> None:
    init = (sources.PACKAGE / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "([^"]+)"', init)
    changelog = (sources.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert version is not None
    assert re.search(rf"^## \[(Unreleased|{re.escape(version[1])})\]", changelog, re.MULTILINE)
