#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoders of the simulated BLE peripherals agree with a reference decoder that was written
apart from them and checked against captures of real devices. Skips without the shared data.
"""
import json
import os
import sys
from decimal import Decimal

from test_sim import HERE, SHARED, Skip, main, same

sys.path.insert(0, os.path.join(HERE, "sim"))
import ble_values   # noqa: E402  (it is in a folder of its own)

MOMENT = "2026-11-21T08:00:09"


def refdec():
    path = os.path.join(SHARED, "tools")
    if not os.path.exists(os.path.join(path, "ble_refdec.py")):
        raise Skip("no shared data")
    sys.path.insert(0, path)
    import ble_refdec   # pylint: disable=import-error,import-outside-toplevel
    with open(os.path.join(SHARED, "vectors", "ble.json"), encoding="utf-8") as file:
        vectors = json.load(file)
    return ble_refdec, vectors if isinstance(vectors, list) else vectors["vectors"]


STATUS = {"meas_status": "MS", "dev_status": "DS"}


def plain(name, o, dec):
    """What the reference decoder says -> a record as our encoders take it."""
    def word(key):
        table = {v: k for k, v in getattr(dec, STATUS[key]).items()}
        return sum(1 << table[x] for x in o[key]) if key in o else None

    text = {k: repr(v) if isinstance(v, float) else v for k, v in o.items()}
    if name == "glucose":
        value = {"value": text.get("conc")}
        if isinstance(o.get("conc"), float):
            value["value"] = Decimal(text["conc"]).scaleb(3 if o["unit"] == "mol/L" else 5)
        return dict({k: o[k] for k in ("seq", "offset_min", "status", "type") if k in o},
                    base=o["base_time"], site=o.get("location"), context=o["context_follows"],
                    unit="mmol/L" if o.get("unit") == "mol/L" else "mg/dL",
                    **(value if "conc" in o else {}))
    if name in ("plx_spot", "plx_cont"):
        def two(suffix):
            return (text["spo2_" + suffix], text["pr_" + suffix]) if "pr_" + suffix in o else None
        return dict(spo2=text["spo2"], pulse=text["pr"], time=o.get("time"), fast=two("fast"),
                    slow=two("slow"), status=word("meas_status"), sensor=word("dev_status"),
                    pai=text.get("pai"), clock_unset=o.get("clock_not_set"))
    if name == "hr":
        return dict(rate=o["hr"], wide=o["flags"] & 1, energy=o.get("energy_kJ"), rr=o.get("rr"),
                    contact={"contact": True, "no_contact": False}.get(o["contact"]))
    if name == "weight":
        return dict(weight=None if o["raw"] == 0xFFFF else repr(o["weight"]), unit=o["unit"])
    return dict(text)


def test_values_agree_with_the_reference_decoder(where):
    dec, vectors = refdec()
    makers = {"glucose": ble_values.glucose, "bp": ble_values.blood_pressure,
              "plx_spot": lambda r: ble_values.plx(r, False),
              "plx_cont": lambda r: ble_values.plx(r, True), "hr": ble_values.heart_rate,
              "weight": ble_values.weight}
    tried = 0
    for v in vectors:
        name, raw = v["decoder"], bytes.fromhex(v["hex"])
        if name not in makers or v.get("expect_error"):
            continue
        want = getattr(dec, name)(raw)
        if raw[0] & (0xE0 if name != "hr" else 0) or (name == "hr" and raw[0] & 6 == 2):
            continue                    # flags that nobody defines
        got = getattr(dec, name)(makers[name](plain(name, want, dec)))
        if want.get("contact") == "not_supported":
            got.update(flags=want["flags"], contact=want["contact"])
        same((v["id"], got), (v["id"], want))
        tried += 1
    same(tried > 30, True)


def test_other_values_agree_with_the_reference_decoder(where):
    dec, _ = refdec()
    context = ble_values.glucose_context(7, {"extended": 0, "carb": (1, "0.05"), "meal": 3,
                                             "tester_health": (2, 5), "exercise": (600, 40),
                                             "medication": (3, "0.002"), "litres": True,
                                             "hba1c": "6.5"})
    same({k: v for k, v in dec.context(context).items() if k != "flags"},
         dict(seq=7, ext_flags=0, carb_id=1, carb_kg=0.05, meal=3, tester=2, health=5,
              exercise_s=600, exercise_pct=40, med_id=3, med=0.002, med_unit="L", hba1c=6.5,
              extra_bytes=0))
    record = {"value": "104", "minutes": 310, "status": 2, "cal_temp": 20, "warning": 255,
              "trend": "0.2", "quality": "99.7"}
    got, = dec.cgm(ble_values.cgm(record, True))["records"]
    same({k: v for k, v in got.items() if k not in ("size", "flags")},
         dict(conc_mg_dL=104, time_min=310, st_status=2, st_caltemp=20, st_warning=255, trend=0.2,
              quality=99.7, crc_ok=True))
    got = dec.hts(ble_values.temperature({"value": "101.3", "unit": "F", "time": MOMENT,
                                          "site": 9}))
    same((got["unit"], got["temp"], got["time"], got["type"]), ("F", 101.3, MOMENT, 9))
    got = dec.bodycomp(ble_values.body_composition(
        dict(fat_pct="21.5", unit="kg", time=MOMENT, user=3, basal_kj=6500, muscle_pct="33.3",
             muscle="30.005", fat_free="50.000", soft_lean="45.500", water="40.250",
             impedance="512.5", weight="70.005", height="1.765"), True))
    same({k: v for k, v in got.items() if k not in ("flags", "fat_raw")},
         dict(fat_pct=21.5, time=MOMENT, user=3, basal_kJ=6500, muscle_pct=33.3, muscle=30.005,
              fat_free=50.0, soft_lean=45.5, water=40.25, impedance=512.5, weight=70.005,
              height=1.765, multi_packet=True, extra_bytes=0))


if __name__ == "__main__":
    sys.exit(main(globals()))
