"""Turns answers on their way through mitmproxy into 502.

    mitmdump -p 8888 -s break.py --set fail=first --set count=2
"""

import random

from mitmproxy import ctx, http


class Break:
    def __init__(self):
        self.seen = 0
        self.random = None

    def load(self, loader):
        loader.add_option("fail", str, "always", "Which answers: always, first, random or never.",
                          choices=["always", "first", "random", "never"])
        loader.add_option("count", int, 2, "With first: how many.")
        loader.add_option("percent", int, 50, "With random: how many of a hundred.")
        loader.add_option("seed", int, 1, "Of random.")

    def running(self):
        self.random = random.Random(ctx.options.seed)

    def breaks(self):
        which = ctx.options.fail
        if which == "first":
            return self.seen <= ctx.options.count
        if which == "random":
            return self.random.randrange(100) < ctx.options.percent
        return which == "always"

    def response(self, flow: http.HTTPFlow):
        self.seen += 1
        if self.breaks():
            flow.response = http.Response.make(502, b"broken on purpose\n",
                                               {"Content-Type": "text/plain"})


addons = [Break()]
