"""Where the company's connections come from: clusters, subnets of cloud functions, machines, VPN, offices, homes, journeys."""

import datetime
import re

DAY = 86400
ISP = {
    "berlin": ["84.150", "84.157", "91.12", "91.19", "79.200", "93.208"],
    "york": ["73.162", "98.207", "24.5", "71.198", "68.40"],
    "bangalore": ["106.51", "122.171", "49.207", "103.5"],
}
RUNNERS = (
    ["20.%d" % i for i in range(36, 60)]
    + ["52.%d" % i for i in range(146, 170)]
    + ["34.%d" % i for i in range(72, 90)]
    + ["4.%d" % i for i in range(148, 160)]
)
TRAVEL = ["81.56", "151.38", "88.10", "2.137", "101.180", "126.72", "201.17", "188.74", "213.55", "95.91", "109.42"]


class Places:
    """The network half of a company; `rng`, `base`, `start` and the lists of networks are the company's."""

    def cluster(self):
        return {"net": "10.%d" % self.octets.pop(), "nodes": self.rng.sample(range(256), self.rng.randint(6, 40))}

    def new_home(self, k):
        r = self.rng
        k.home = "%s.%d.%d" % (r.choice(ISP[k.tz]), r.randint(0, 255), r.randint(2, 254))
        k.home6 = "2003:%x:%x:%x" % (r.choice((0xE1, 0xE4, 0xD8)), r.getrandbits(16), r.getrandbits(16))

    def rehost(self, k):
        if k.hosts:
            k.hosts[0] = (
                k.hosts[0].rsplit(".", 1)[0] + ".%d" % self.rng.randint(4, 250)
                if self.rng.random() < 0.7
                else re.sub(r"\.\d+\.\d+$", ".%d.%d" % (self.rng.randint(0, 250), self.rng.randint(4, 250)), k.hosts[0])
            )

    def other_site(self):
        self.clusters.append(self.cluster())
        return self.clusters[-1] if self.rng.random() < 0.5 else self.rng.choice(self.clusters)

    def new_vpn(self):
        if not getattr(self, "moved", False):
            self.moved, self.vpns = True, ["100.%d.%d" % (self.rng.randint(64, 127), 16 * self.rng.randint(0, 15))]

    # --- where connections come from: address, and the network that an honest inventory would declare (None: nobody could)
    def address(self, k, day):
        r = self.rng
        if k.hosts:
            a = r.choice(k.hosts)
            return a, a.rsplit(".", 1)[0] + ".0/24"
        if k.cls == "lambda":
            b = r.choice(self.subnets).split(".")
            return "172.31.%d.%d" % (int(b[2]) + r.randint(0, 15), r.randint(4, 254)), "172.31.0.0/16"
        if k.cls == "ci":
            return "%s.%d.%d" % (r.choice(RUNNERS), r.randint(0, 255), r.randint(1, 254)), None
        if not k.human:
            c = k.cluster
            if r.random() < 0.04:
                c["nodes"][r.randrange(len(c["nodes"]))] = r.randint(0, 255)  # the autoscaler replaces a node
            return "%s.%d.%d" % (c["net"], r.choice(c["nodes"]), r.randint(2, 254)), c["net"] + ".0.0/16"
        trip = getattr(k, "trip", None)
        k.roams = k.roams or k.mode == "direct"
        if trip and day < trip[0] and r.random() < 0.8:
            return ("%s.%d" % (trip[1], r.randint(2, 250)), None) if k.mode == "direct" else self.vpn()
        mode = k.mode if r.random() < 0.85 else r.choice(("office", "vpn"))
        if mode == "office":
            return "%s.%s" % (k.office, k.hops), k.office + ".0/24"
        if mode == "jump":
            return self.jumps[int(k.hops) % 2], self.jumps[int(k.hops) % 2] + "/32"
        if mode == "direct":
            if k.ipv6:
                return "%s:%x:%x:%x:%x" % (k.home6, r.getrandbits(16), r.getrandbits(16), r.getrandbits(16), r.getrandbits(16) | 1), None
            return k.home, None
        return self.vpn()

    def vpn(self):
        v = self.rng.choice(self.vpns).split(".")
        return "%s.%s.%d.%d" % (v[0], v[1], int(v[2]) + self.rng.randint(0, 15), self.rng.randint(2, 254)), "%s.%s.0.0/16" % (v[0], v[1])

    def local(self, k, day, hour):
        date = self.start + datetime.timedelta(days=day)
        eu = datetime.date(2026, 3, 29) <= date.date() < datetime.date(2026, 10, 25)
        us = datetime.date(2026, 3, 8) <= date.date() < datetime.date(2026, 11, 1)
        return self.base + day * DAY + (hour - {"berlin": 1 + eu, "york": -5 + us, "bangalore": 5.5}[k.tz]) * 3600
