"""serve_test.py <demo> <picture>: the demo keeps its page open until Ctrl-C."""

import json
import re
import signal
import subprocess
import sys
import urllib.request


def get(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read().decode()


def main(demo, picture):
    run = subprocess.Popen(
        [demo, "--serve", "--requests", "60", "--rate", "200", "--output", picture],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = re.fullmatch(r"Page: (http://127\.0\.0\.1:\d+/)\n", run.stdout.readline()).group(1)
        assert "<title>Holdfast</title>" in get(url)
        for line in run.stdout:
            if line.startswith("The page stays open until Ctrl-C"):
                break
        snapshot = json.loads(get(url + "snapshot.json"))
        calls = {stack["name"]: sum(stack["total"]["calls"].values()) for stack in snapshot["stacks"]}
        assert calls == {"plain": 60, "resilient": 60}, calls
        policies = [policy["policy"] for policy in snapshot["stacks"][1]["policies"]]
        assert policies[:2] == ["Timeout", "Retry"], policies
        assert "holdfast_calls_total" in get(url + "metrics")
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=30) == 0
    finally:
        run.kill()


main(*sys.argv[1:])
