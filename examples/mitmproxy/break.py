"""Replaces responses that pass through mitmproxy by 502 Bad Gateway.

    mitmdump -p 8888 -s break.py --set fail=first --set count=2
"""

import random

from mitmproxy import ctx, http


class Break:
    def __init__(self):
        self.seen = 0
        self.random = None

    def load(self, loader):
        loader.add_option("fail", str, "always", "Responses to replace: always (all), first (the first `count`), "
                          "random (`percent` of them) or never.",
                          choices=["always", "first", "random", "never"])
        loader.add_option("count", int, 2, "With fail=first: number of responses to replace.")
        loader.add_option("percent", int, 50, "With fail=random: percentage to replace, 0 to 100.")
        loader.add_option("seed", int, 1, "With fail=random: seed of the choice.")

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
