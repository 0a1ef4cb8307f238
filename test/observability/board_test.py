#!/usr/bin/env python3
"""Has a Prometheus, with promtool beside it, try the board and the alerts of examples/observability:
the files are well-formed, each alert fires when it should, and after half an hour with faults, of
which the program named prints the metrics, each query of the board and of an alert finds something.

    board_test.py FAULTS_PROGRAM
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "../../examples/observability")
BEGIN = 1_767_225_600  # the start of 2026, in seconds; any time will do
STEP = 15
SERIES = re.compile(r'^([a-z_:][a-z0-9_:]*)(\{.*\})? (\S+)$')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def promtool(*arguments, **options):
    subprocess.run(["promtool", *arguments], check=True, **options)


def scrapes(program):
    """The second of each scrape, and its text."""
    text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    parts = re.split(r"^# at (\d+)\n", text, flags=re.MULTILINE)
    return [(int(second), scrape) for second, scrape in zip(parts[1::2], parts[2::2])]


def check_series(scrape):
    """What promtool lets pass: equal series, and series of a metric whose labels differ."""
    seen, keys = set(), {}
    for line in scrape.splitlines():
        if line.startswith("#"):
            continue
        name, labels, _ = SERIES.match(line).groups()
        found = LABEL.findall(labels[1:-1] if labels else "")
        series = (name, tuple(sorted(found)))
        assert series not in seen, f"twice: {line}"
        seen.add(series)
        present = tuple(sorted(key for key, _ in found))
        assert keys.setdefault(name, present) == present, f"other labels: {line}"
    assert len(seen) > 100


def open_metrics(all_scrapes):
    """Of all scrapes, each metric's samples together, as promtool's import takes them."""
    types, samples = {}, {}
    for second, scrape in all_scrapes:
        family = None
        for line in scrape.splitlines():
            if line.startswith("# TYPE "):
                _, _, family, kind = line.split()
                types[family] = kind
            elif not line.startswith("#"):
                samples.setdefault(family, []).append(f"{line} {BEGIN + second}")
    for family, lines in samples.items():
        name = family.removesuffix("_total") if types[family] == "counter" else family
        yield f"# TYPE {name} {types[family]}"
        yield from lines
    yield "# EOF"


def with_target(scrape):
    """The labels that a scrape adds."""
    target = 'job="shop",instance="127.0.0.1:9464"'
    lines = []
    for line in scrape.splitlines():
        if not line.startswith("#"):
            name, labels, value = SERIES.match(line).groups()
            line = f"{name}{{{target}{',' + labels[1:-1] if labels else ''}}} {value}"
        lines.append(line)
    return "\n".join(lines)


class Prometheus:
    def __init__(self, data):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        config = os.path.join(data, "empty.yml")
        with open(config, "w") as file:
            file.write("global: {}\n")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
             "--storage.tsdb.retention.time=100y", f"--web.listen-address={self.address}",
             "--log.level=error"])

    def __enter__(self):
        while True:
            assert self.process.poll() is None, "prometheus ended"
            try:
                with urllib.request.urlopen(f"http://{self.address}/-/ready"):
                    return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)  # it says itself when it is ready

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def query(self, expression, until):
        """The series that the expression has between the first scrape and the last."""
        parameters = urllib.parse.urlencode(
            {"query": expression, "start": BEGIN, "end": BEGIN + until, "step": STEP})
        try:
            with urllib.request.urlopen(
                    f"http://{self.address}/api/v1/query_range?{parameters}") as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            sys.exit(f"{expression}: {error.read().decode()}")


def board_queries():
    with open(f"{EXAMPLES}/board.json") as file:
        board = json.load(file)
    variables = {"$__rate_interval": "1m"}
    for variable in board["templating"]["list"]:
        variables[f"${variable['name']}"] = ".*"
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in variables.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            yield f"board, {panel['title']}", expression


def alert_queries():
    text = subprocess.run(["promtool", "check", "rules", "--lint=none", f"{EXAMPLES}/alerts.yml"],
                          check=True, capture_output=True, text=True).stdout
    assert "SUCCESS" in text
    with open(f"{EXAMPLES}/alerts.yml") as file:
        rules = re.split(r"^ +- alert: ", file.read(), flags=re.MULTILINE)[1:]
    for rule in rules:
        name = rule.splitlines()[0]
        expression = re.search(r"expr: (?:>-\n)?(.*?)\n +(?:for|labels):", rule, re.DOTALL).group(1)
        yield f"alert {name}", " ".join(expression.split())


def main(program):
    promtool("check", "config", f"{EXAMPLES}/prometheus.yml")
    promtool("test", "rules", f"{HERE}/alerts_test.yml")
    all_scrapes = scrapes(program)
    for _, scrape in all_scrapes:
        check_series(scrape)
    until, last = all_scrapes[-1]
    promtool("check", "metrics", input=last, text=True)
    queries = [*board_queries(), *alert_queries()]
    with tempfile.TemporaryDirectory() as data:
        with open(f"{data}/scrapes", "w") as file:
            for line in open_metrics([(at, with_target(text)) for at, text in all_scrapes]):
                print(line, file=file)
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", f"{data}/scrapes", data)
        with Prometheus(data) as prometheus:
            empty = [name for name, expression in queries
                     if not prometheus.query(expression, until)]
    assert not empty, f"no answer: {empty}"
    print(f"{len(queries)} queries, each with an answer")


main(sys.argv[1])
