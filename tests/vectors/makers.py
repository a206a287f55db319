# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers must make of the own protocols of makers."""
from vectors.compare import decode, heard, no_reading, one_reading, same, shown


def oximeter(channel, frame=lambda v: v.hex):
    """Oximeters that say whole numbers all the time."""
    def check(driver, v):
        found = decode(driver, shown(channel, frame(v)))
        spo2, pulse = v.get("spo2"), v.get("pr")
        if "battery" in v:
            told = [event["value"] for event in found["events"] if event["type"] == "battery"]
            if told != [v["battery"]]:
                return [f"battery: found {told}, expected {v['battery']}"]
        v.pass_over("pi_raw", "motion", "pvi", "rrp", "pi")  # not read
        if spo2 is None or spo2 == 255:
            return no_reading(found)
        return one_reading(found, {"spo2": (spo2, "%"), "spo2.pulse": (pulse, "/min")},
                           flags=set(), device_time=None)
    return check


def mightysat(driver, v):
    if "(host)" in v.note:  # what the driver must have written
        v.pass_over("crc_ok")
        decode(driver, ["channel 54c21001", f"> {v.hex}"], ["live"])
        return []
    found = decode(driver, heard("54c21002", v.hex))
    faults = same(found["results"]["malformed"], 0 if v["crc_ok"] else 1, "malformed")
    if "spo2" not in v and v.note == "acquiring":
        return faults  # whether the numbers are good already is not said
    return faults + oximeter("54c21002")(driver, v)


def crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7 if crc & 0x80 else crc << 1) & 0xff
    return crc


def o2ring_frame(v):
    """The vector is the data of a reply; head and check byte are the frame's."""
    data = bytes.fromhex(v.hex)
    frame = bytes([0x55, 0, 0xff, 0, 0]) + len(data).to_bytes(2, "little") + data
    return (frame + bytes([crc8(frame)])).hex()


def mi_composition(driver, v):
    """The Mi scale says its own layout under a standard characteristic."""
    found = decode(driver, heard("2a9c", v.hex))
    v.pass_over("unit", "weight", "stabilised", "time")  # none of it may be stored
    return no_reading(found)


def mi_advert(driver, v):
    """Service data of an advertisement. That it is told once is the driver's own test."""
    channel = "181b" if len(v.hex) == 26 else "181d"
    found = decode(driver, heard(channel, v.hex))
    value = (v["weight"], v.get("unit", "kg"))
    if "object" in v.note or not v.get("stabilised", True):  # no person, or no weight yet
        v.pass_over("time", "stabilised")
        return no_reading(found, "nothing")
    values = {"weight": value}
    if v.get("impedance") is not None:
        values["body.impedance"] = (v["impedance"], "Ohm")
    others = {"device_time": v["time"]} if "time" in v else {}
    return one_reading(found, values, flags=set(), **others)
