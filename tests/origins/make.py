#!/usr/bin/env python3
"""Writes the MMDB files beside it, in the layouts of MaxMind, DB-IP and IPinfo, with networks of documentation and benchmarking.

    pip install mmdb_writer==0.2.7 && python3 tests/origins/make.py

The same script always writes the same bytes.
"""
import calendar
import pathlib

import mmdb_writer
from netaddr import IPSet

BUILT = calendar.timegm((2026, 11, 1, 0, 0, 0))
FOLDER = pathlib.Path(__file__).parent

# network: (system, organisation, country, city, latitude, longitude, accuracy in km, hosting)
WORLD = {
    "198.18.0.0/24": (64496, "Example Office", "DE", "Berlin", 52.52, 13.405, 20, False),
    "192.0.2.0/24": (64496, "Example Office", "DE", "Berlin", 52.52, 13.405, 20, False),
    "198.18.9.0/24": (64497, "Example Telecom", "DE", "Munich", 48.137, 11.575, 20, False),
    "198.51.100.0/24": (64497, "Example Telecom", "DE", "Munich", 48.137, 11.575, 20, False),
    "203.0.113.0/24": (64500, "Example Hosting", "RO", "Bucharest", 44.43, 26.10, 50, True),
    "198.19.0.0/24": (64501, "Example Mobile", "SG", "Singapore", 1.35, 103.82, 50, False),
    "198.19.1.0/24": (64502, "Example Transit", "AQ", None, -75.0, 0.0, 1000, False),
    # a name that would steer a terminal and fill a screen
    "198.19.2.0/24": (64503, "\x1b[31mEvil\u202e\r\n" + "x" * 5000, "XX\n", None, 12.0, 1e9, 5, False),
    "198.19.3.0/24": (16509, "AMAZON-02", "US", "Ashburn", 39.04, -77.49, 20, False),
    "2001:db8:1::/48": (64500, "Example Hosting", "RO", "Bucharest", 44.43, 26.10, 50, True),
    "2001:db8:2::/48": (64496, "Example Office", "DE", "Berlin", 52.52, 13.405, 20, False),
}
NAMES = {"DE": "Germany", "RO": "Romania", "SG": "Singapore", "AQ": "Antarctica", "US": "United States"}


def country(iso):
    return {"geoname_id": 1, "iso_code": iso, "names": {"en": NAMES.get(iso, iso)}}


def place(row):
    system, organisation, iso, city, latitude, longitude, radius, hosting = row
    record = {"country": country(iso), "registered_country": country("US"),
              "location": {"latitude": latitude, "longitude": longitude, "accuracy_radius": radius, "time_zone": "Etc/UTC"}}
    if city:
        record["city"] = {"names": {"en": city}}
    return record


def asn(row):
    return {"autonomous_system_number": row[0], "autonomous_system_organization": row[1]}


def enterprise(row):
    traits = asn(row) | {"isp": row[1], "user_type": "hosting" if row[7] else "business"}
    return place(row) | {"traits": traits}


def anonymous(row):
    return {"is_anonymous": True, "is_hosting_provider": True} if row[7] else None


def dbip_city(row):
    return {"city": {"names": {"en": row[3] or ""}}, "country": {"iso_code": row[2], "names": {"en": NAMES.get(row[2], row[2])}},
            "location": {"latitude": row[4], "longitude": row[5]}}


def ipinfo_lite(row):
    return {"asn": f"AS{row[0]}", "as_name": row[1], "as_domain": "example.com", "country": NAMES.get(row[2], row[2]), "country_code": row[2]}


def ipinfo_location(row):
    return {"city": row[3] or "", "country": row[2], "lat": str(row[4]), "lng": str(row[5]), "timezone": "Etc/UTC"}


def ipinfo_privacy(row):
    return {"hosting": "true", "vpn": "", "proxy": "", "tor": "", "relay": ""} if row[7] else {"hosting": "", "vpn": ""}


LAYOUTS = {
    "maxmind-asn": ("GeoLite2-ASN", asn),
    "maxmind-country": ("GeoLite2-Country", lambda row: {"country": country(row[2])}),
    "maxmind-city": ("GeoLite2-City", place),
    "maxmind-enterprise": ("GeoIP2-Enterprise", enterprise),
    "maxmind-anonymous": ("GeoIP2-Anonymous-IP", anonymous),
    "dbip-asn": ("DBIP-ASN-Lite (compat=GeoLite2-ASN)", asn),
    "dbip-city": ("DBIP-City-Lite", dbip_city),
    "ipinfo-lite": ("ipinfo ipinfo_lite.mmdb", ipinfo_lite),
    "ipinfo-location": ("ipinfo standard_location.mmdb", ipinfo_location),
    "ipinfo-privacy": ("ipinfo standard_privacy.mmdb", ipinfo_privacy),
    # of no use here
    "domain": ("GeoIP2-Domain", lambda row: {"domain": "example.com"}),
}

if __name__ == "__main__":
    mmdb_writer.time.time = lambda: BUILT
    for name, (kind, layout) in LAYOUTS.items():
        writer = mmdb_writer.MMDBWriter(
            6, database_type=kind, languages=["en"], description={"en": "made up for tests"}, ipv4_compatible=True,
            int_type="u32", float_type="f64",
        )
        for network, row in WORLD.items():
            record = layout(row)
            if record is not None:
                writer.insert_network(IPSet([network]), record)
        writer.to_db_file(str(FOLDER / f"{name}.mmdb"))
