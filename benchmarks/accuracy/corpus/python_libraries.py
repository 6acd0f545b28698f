"""The thread runs Python code of a library, for one line of the user's."""

import copy
import csv
import dataclasses
import difflib
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from benchmarks.accuracy.case import Run, Setup, case, now
from benchmarks.accuracy.places import ALL


def _records(setup: Setup) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(setup.size)]


@case("python", places=ALL, small=True, size=20_000, make=_records)
def deepcopy(run: Run) -> None:
    began = run.begin()
    copy.deepcopy(run.data)  # BLOCK
    run.end(began, now())


@case("python", size=20_000, make=_records)
def json_dumps_indented(run: Run) -> None:
    """With an indent, these versions of json encode in Python."""
    began = run.begin()
    run.kept = json.dumps(run.data, indent=2)  # BLOCK
    run.end(began, now())


TEMPLATE = """<ul>{% for row in rows %}<li class="{{ loop.cycle('odd', 'even') }}">{{ row.id }}: {{ row.name|title }}
{% for tag in row.tags %}<b>{{ tag|upper }}</b>{% endfor %}</li>{% endfor %}</ul>"""


def _page(setup: Setup) -> Any:
    import jinja2

    return jinja2.Environment(autoescape=True).from_string(TEMPLATE), _records(setup)


@case("python", small=True, size=5_000, make=_page, modules=("jinja2",))
def jinja2_render(run: Run) -> None:
    template, rows = run.data
    began = run.begin()
    run.kept = template.render(rows=rows)  # BLOCK
    run.end(began, now())


def _element(setup: Setup) -> ElementTree.Element:
    root = ElementTree.Element("items")
    for number in range(setup.size):
        ElementTree.SubElement(root, "item", id=str(number)).text = f"name {number}"
    return root


@case("python", size=30_000, make=_element, places=("dependency",))
def elementtree_tostring(run: Run) -> None:
    """ElementTree parses in C, and writes in Python."""
    began = run.begin()
    run.kept = ElementTree.tostring(run.data)  # BLOCK
    run.end(began, now())


@dataclasses.dataclass
class _Item:
    id: int
    name: str
    tags: list[str]


def _items(setup: Setup) -> list[_Item]:
    return [_Item(**record) for record in _records(setup)]


@case("python", size=20_000, make=_items, places=("async_generator",))
def dataclasses_asdict(run: Run) -> None:
    began = run.begin()
    [dataclasses.asdict(item) for item in run.data]  # BLOCK
    run.end(began, now())


def _table(setup: Setup) -> str:
    return "id,name,price\n" + "".join(f"{number},name {number},{number}.5\n" for number in range(setup.size))


# Two honest answers: the rows are split in C, and made into dictionaries in Python.
@case("python", "native", size=50_000, make=_table, places=("handler",))
def csv_dict_reader(run: Run) -> None:
    began = run.begin()
    for row in csv.DictReader(io.StringIO(run.data)):  # BLOCK
        run.kept = row  # BLOCK
    run.end(began, now())


def _two_texts(setup: Setup) -> tuple[list[str], list[str]]:
    lines = [f"line {number % 97} of {number}" for number in range(setup.size)]
    return lines, [line.replace("7", "x") for line in lines]


@case("python", size=500, degree=2, make=_two_texts, places=("call_later",))
def difflib_ratio(run: Run) -> None:
    old, new = run.data
    began = run.begin()
    run.kept = difflib.SequenceMatcher(None, old, new).ratio()  # BLOCK
    run.end(began, now())


def _configuration(setup: Setup) -> str:
    return "".join(f"- id: {number}\n  name: name {number}\n  on: true\n" for number in range(setup.size))


@case("python", size=300, make=_configuration, modules=("yaml",))
def yaml_safe_load(run: Run) -> None:
    import yaml

    began = run.begin()
    yaml.safe_load(run.data)  # BLOCK
    run.end(began, now())


# Two honest answers: the regular expression is C, the replacement is a Python function of the user's.
@case("python", "native", size=100_000, make=_table, places=("data_received",))
def re_sub_with_a_function(run: Run) -> None:
    began = run.begin()
    run.kept = re.sub(r"\d+", lambda match: str(len(match[0])), run.data)  # BLOCK
    run.end(began, now())


def _documents(setup: Setup) -> list[str]:
    return [json.dumps({"id": number, "name": f"name {number}"}) for number in range(setup.size)]


# Two honest answers: thousands of small calls, each half in json's Python and half in its C.
@case("python", "native", size=100_000, make=_documents)
def json_loads_each(run: Run) -> None:
    began = run.begin()
    for text in run.data:  # BLOCK
        json.loads(text)  # BLOCK
    run.end(began, now())
