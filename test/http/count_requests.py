"""Makes the file that the option `counted` names one byte longer for each request."""

from mitmproxy import ctx, http


class Count:
    def load(self, loader):
        loader.add_option("counted", str, "", "The file.")

    def request(self, flow: http.HTTPFlow):
        with open(ctx.options.counted, "ab") as counted:
            counted.write(b".")


addons = [Count()]
