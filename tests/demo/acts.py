# SPDX-License-Identifier: GPL-3.0-or-later
"""The acts, one after another."""
import itertools
import json
import os
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import harness
from scene import (ADDRESS, BATCH, CHAIN, DEVICES, ESCALATE, GAP_S, STEADY_S, WARM_S, Trouble,
                   roster)
from screen import boottime, milliseconds


def act_site(show):
    site = show.site
    show.screen.headline(1, "现场", "The site", [
        "一个村卫生室网关：全部在本机回环地址，数据存于临时目录，结束时删除。",
        "The gateway of a village clinic, all on loopback, its store in a folder that goes at the "
        "end."])
    show.say("site", "start", f"mosquitto on 127.0.0.1:{site.port}, keeps nothing over a restart")
    if not site.broker():
        raise Trouble("mosquitto does not answer: " + site.log("broker").strip()[-200:])
    site.write_config(DEVICES + [harness.modbus_device(
        "fridge-1", "fridge_eid041", site.modbus_port("fridge-1", "1:fridge"), place="fridge",
        poll_ms=500)])
    site.platform("--verbose")
    show.until(lambda: "connected 0" in site.log("platform"), "the platform's subscription")
    site.radio()
    show.say("platform", "start", f"simulated, listens to {site.base}/up/#")
    if not site.core(site.env):
        raise Trouble("vitalgated does not start: " + site.log("core").strip()[-300:])
    show.say("gateway", "start", f"vitalgated, store {site.dir}/store")
    site.uplink()
    show.until(lambda: show.online, "the uplink's connection")
    show.say("gateway", "start", "vitalgate-uplink, connected to the broker")
    site.start("follow", [harness.BUILD + "/vitalgate", "--config", site.config, "--json",
                          "readings", "--follow"])
    with open(site.path("roster.csv"), "w", encoding="utf-8") as f:
        f.write(roster())
    n = show.cli("import", site.path("roster.csv"))["residents"]
    show.say("nurse", "run", f"vitalgate import roster.csv · {n} residents, pseudonyms only")
    for device, resident in (("cuff-1", "R-0001"), ("cuff-3", "R-0004"), ("ox-1", "R-0004"),
                             ("meter-1", "R-0003")):
        show.cli("bind", device, resident, "--from", f"{date.today().year - 1}-01-01")
        show.say("nurse", "run", f"vitalgate bind {device} {resident}")
    site.cuff("cuff-1")
    show.say("cuff-1", "start", "BLE cuff at home of R-0001")
    site.cuff("cuff-2", "--clock", "-2400")
    show.say("cuff-2", "start", "BLE cuff for everybody at the health post; its clock is slow")
    site.analyser("lab-1", "--retry", "1", "--ack-timeout", "3")
    show.say("lab-1", "start", "analyser in the clinic, LIS01-A2 on a serial line")
    site.cart("cart-1", "--how", "sb")
    show.say("cart-1", "start", "ECG cart in the clinic, YMODEM on a serial line")
    site.oximeter("ox-1", "--steady", "--acquire", "0.5")
    show.say("ox-1", "start", "oximeter at home of R-0004, Nonin format 2 on a serial line")
    show.say("fridge-1", "start", "vaccine fridge, Modbus TCP, asked twice a second")
    show.until(lambda: all(os.path.exists(site.path(name + ".ctl"))
                           for name in ("cuff-1", "cuff-2", "lab-1", "cart-1", "ox-1")),
               "the instruments")
    show.breathe(2)


def act_ordinary(show):
    show.act(2, "平常读数", "Ordinary readings",
             f"先写入磁盘，再向仪器确认，再送平台。血氧稳定 {STEADY_S} 秒才算一条读数。",
             "On disk first, then confirmed to the instrument, then to the platform. The oximeter "
             f"talks without end: what was steady for {STEADY_S} s is a reading.")
    show.finger(97, 68)
    show.lab("R-0002", "GLU", "6.1", "mmol/L")
    show.breathe(1.6)
    show.cuff("cuff-1", 136, 84, 71)
    show.breathe(2.4)
    show.lab("R-0002", "HbA1c", "7.1", "%")
    show.breathe(1.6)
    show.cuff("cuff-1", 142, 88, 74)
    show.breathe(2.4)
    show.finger_out()


def alert_and_answer(show, known, outcome):
    """Waits for a new alert at the platform; its doctor answers."""
    show.until(lambda: len(show.accounts.alerts_arrived) > known, "the alert at the platform")
    show.breathe(2)
    show.acknowledge(show.open_alerts()[-1], outcome)
    show.breathe(1.6)


def act_pressure(show):
    show.act(3, "危急血压", "A dangerous blood pressure",
             "R-0001，1958年生，在家自测 190/115。警报直达签约医生，直到有人确认；复测正常，警报解除。",
             "R-0001, a man born in 1958, measures 190/115 at home. His doctor is told at once, "
             "until somebody acknowledges. A good value ends it.")
    a = show.accounts
    known = len(a.alerts_arrived)
    show.cuff("cuff-1", 190, 115, 88)
    alert_and_answer(show, known, "reached")
    show.say("doctor", "do", "calls R-0001: sit quietly, measure again 静坐后复测")
    show.breathe(1)
    show.cuff("cuff-1", 138, 84, 78)
    show.until(a.over, "the end of the alert")
    show.breathe(1.2)


def act_glucose(show):
    show.act(4, "血糖超量程", "Glucose off the scale",
             f"分析仪只显示 HI，没有数字：按“高于量程”处理，照样报警。医生 {ESCALATE[0]} 秒未应答（实际 "
             "15 分钟），通知下一人。",
             "The analyser says HI and no number: a value above its range, and an alert like any "
             f"other. Its doctor does not answer: after {ESCALATE[0]} s, else 15 minutes, the next one "
             "is told.")
    a = show.accounts
    known = len(a.alerts_arrived)
    show.lab("R-0002", "GLU", "HI", "", "HH")
    show.until(lambda: len(a.alerts_arrived) > known, "the alert at the platform")
    alert = show.open_alerts()[-1]["id"]
    show.until(lambda: a.alerts_arrived[alert]["to"]["token"] == CHAIN, "the next person")
    show.breathe(1)
    show.acknowledge(a.alerts_arrived[alert], "referred")
    show.breathe(1.6)


def act_nobody(show):
    show.act(5, "误测与无主读数", "A cuff error, and a reading of nobody",
             "袖带未绑好：记为事件，不是读数。公用血压计不知道是谁：不猜，进待归属箱，由护士指定。",
             "A failed measurement is an event, no reading. The shared cuff does not know who sits "
             "there: nothing is guessed, the reading waits until the nurse says whose it is.")
    a = show.accounts
    show.tell("cuff-2", 'record {"nan":true,"time":"now"}')
    show.until(lambda: a.aside_arrived, "the cuff error at the platform")
    show.breathe(1.2)
    show.cuff("cuff-2", 151, 92, 79)
    show.until(lambda: None in a.resident.values() and len(a.arrived) == len(a.kept),
               "the reading of nobody")
    show.breathe(2)
    waiting = show.cli("unassigned")["readings"][0]["id"]
    show.say("nurse", "run", f"vitalgate assign {waiting[:8]} R-0003")
    show.cli("assign", waiting[:8], "R-0003")
    show.until(lambda: a.resident[waiting] == "R-0003", "the assignment")
    show.breathe(1.6)


def act_visit(show):
    show.act(6, "随访", "A follow-up visit",
             "护士在随访台登记居民：此后该台测的归此人，并按规则填入随访表（两次取平均，演示中间隔 "
             f"{GAP_S} 秒，实际 1 分钟）；在家测的不填表。症状等由人填写，医生确认后定稿。",
             "The nurse checks R-0001 in at the desk: what is measured there is his, and fills the "
             f"form by named rules: the mean of two, here {GAP_S} s apart, else a minute. What he "
             "measures at home fills none. People answer the rest; his doctor confirms, and the form "
             "is frozen.")
    words = ("checkin", "desk-1", "R-0001", "--purpose", "follow-up", "--way", "1")
    show.say("nurse", "run", "vitalgate " + " ".join(words))
    visit = show.cli(*words)["visits"]["htn"]
    show.breathe(1)
    show.cuff("cuff-2", 150, 92, 76)
    show.until(lambda: show.in_form(visit, "bp") == "150/92", "the first one in the form")
    show.breathe(GAP_S + 1, scaled=False)
    show.cuff("cuff-2", 146, 90, 74)
    show.until(lambda: show.in_form(visit, "bp") == "148/91", "their mean in the form")
    show.breathe(1)
    show.say("nurse", "run", "vitalgate checkout desk-1")
    show.cli("checkout", "desk-1")
    answers = ("complication=1", "adverse_reaction=1", "symptoms=1")
    show.say("nurse", "run", f"vitalgate visit set {visit[:8]} " + " ".join(answers))
    show.cli("visit", "set", visit, *answers)
    show.until(lambda: show.in_form(visit, "symptoms"), "the answers at the platform")
    proposed = show.visits[visit]["proposed"]
    show.say("gateway", "note", f"建议 proposed: 达标 at goal {proposed['at_goal']} · 分类 class "
             f"{proposed['class']} · 下次 next {proposed['next_visit_date']}")
    show.breathe(1)
    show.say("doctor", "confirms", f"R-0001 · down/cmd visit_confirm {visit[:8]} by D-0001")
    show.tell("platform", json.dumps({"v": 1, "id": "confirm-" + visit, "cmd": "visit_confirm",
                                      "by": "D-0001", "args": {"visit": visit}}))
    show.until(lambda: show.visits[visit]["status"] == "confirmed", "the confirmed visit")
    show.breathe(1.6)


def act_meter(show):
    show.act(7, "血糖仪的记忆", "A meter's memory",
             "蓝牙血糖仪存有昨天的记录：先问条数，再取；以后只取新增，从不删除。质控液不是人的血糖。",
             "A Bluetooth meter comes into reach with yesterday's records: it is asked how many, "
             "then for them, later for what is new; nothing is deleted. Control solution is "
             "nobody's glucose, and ketones are not glucose.")
    a, day = show.accounts, (datetime.now(ZoneInfo(show.site.ZONE)) - timedelta(days=1)).date()
    known = len(a.alerts_arrived)
    records = [{"what": what, "value": value, "unit": "mmol/L", "type": 1, "site": 1, "status": 0,
                "base": f"{day}T{hour}", "offset_min": 0, **more} for what, value, hour, more in (
                    ("control", "6.4", "06:41:00", {"type": 10}),
                    ("fasting", "7.4", "06:55:00", {"meal": 3}),
                    ("normal", "11.2", "13:08:00", {}),
                    ("ketone", "0.4", "20:17:00", {"meal": 6}),
                    ("hi", "33.3", "21:30:00", {"status": 0x20}))]
    show.memories = {"meter-1"}
    show.say("meter-1", "start", "BLE glucose meter at home of R-0003")
    show.site.peripheral("glucose", "meter-1", "--idle", "1", *(
        word for record in records for word in ("--record", json.dumps(record))))
    alert_and_answer(show, known, "reached")
    show.memories = set()
    show.tell("meter-1", "record " + json.dumps(
        {"what": "normal", "value": "12.6", "unit": "mmol/L", "type": 1, "site": 1, "status": 0}))
    show.until(lambda: a.told_by("meter-1") == len(records) and show.all_here(),
               "the meter's new record")
    show.breathe(1)


def act_enrol(show):
    show.act(8, "登记新设备", "A new cuff is enrolled",
             "护士打开登记窗口：谁在广播、按什么键；配对，试测一次（不归任何人），再归居民。窗外一律拒绝。",
             "The nurse opens a window: who advertises, and what to press. It is paired, with the "
             "digits that it shows, and takes a test reading that is filed nowhere; then it is "
             "R-0003's. Outside the window nothing can pair.")
    a, site, passkey = show.accounts, show.site, "482913"
    site.instrument("cuff", "cuff-4", "--listen", f"{site.path('air')}/{ADDRESS}",
                    "--state", site.path("cuff-4.state"), "--idle", "1")
    site.bluez("device", address=ADDRESS, name="BM54", type="random", rssi=-58, uuids=["1810"],
               pair={"model": "passkey_entry", "passkey": int(passkey)})
    show.say("cuff-4", "start", "BLE cuff, new out of its box; in no file")
    for more in ((), ("--lang", "zh")):
        show.say("nurse", "run", " ".join(("vitalgate enrol", *more)))
        show.list_of("enrol", "--seconds", "1", *more)
    show.breathe(1)
    words = ("enrol", ADDRESS, "--id", "cuff-4", "--resident", "R-0003")
    show.say("nurse", "run", "vitalgate " + " ".join(words))
    with site.companion(*words) as enrol:
        show.watch(enrol, "six digits")
        show.say("vitalgate", "shows", enrol.rest.strip())
        show.breathe(0.8)
        show.say("nurse", "types", f"{passkey} · as it stands on the cuff's display")
        enrol.type(passkey)
        show.watch(enrol, "take a measurement")
        show.breathe(0.8)
        show.cuff("cuff-4", 128, 82, 70)
        show.watch(enrol)
    show.breathe(1.1, scaled=False)     # not in the second in which it became R-0003's
    show.cuff("cuff-4", 146, 86, 74)
    show.until(lambda: a.told_by("cuff-4") == 2 and show.all_here(), "the enrolled cuff's reading")
    show.breathe(1.6)


def act_fingers(show):
    show.act(9, "冷手指", "Cold fingers",
             "R-0004 手冷：血氧 86，但灌注低。照存照示，先请复测；捂热后 88，可信，警报到医生。",
             "R-0004 has cold hands: 86 % on a weak signal is stored and shown, and a repeat is "
             "asked for. Warm, it is 88 % without a doubt, and the doctor is told. Should no clean "
             "value come in time, staff are told of the doubtful one.")
    asked, known = show.repeats_asked, len(show.accounts.alerts_arrived)
    show.finger(86, 64, "low")
    show.breathe(STEADY_S, scaled=False)
    show.cuff("cuff-1", 133, 81, 70)
    show.breathe(STEADY_S, scaled=False)
    show.say("ox-1", "note", f"{2 * STEADY_S} s, and no value without a doubt; all others go on",
             "dim")
    show.until(lambda: show.repeats_asked > asked, "the request to repeat it")
    show.breathe(0.5)
    show.say("nurse", "do", "warms the hand 捂热手指")
    show.tell("ox-1", "perfusion good; spo2 88")
    show.accounts.expected["ox-1"] += 1
    alert_and_answer(show, known, "reached")
    show.finger_out()


def ecg_report(show, study, status, **more):
    """The county's ECG centre says something."""
    show.said += 1
    show.say("centre", "reports", " · ".join([status, *more.values()]))
    show.tell("platform", json.dumps({
        "v": 1, "id": f"report-{show.said}", "cmd": "ecg_report", "by": "D-0009",
        "args": {"study": study, "status": status, **more}}))


def act_ecg(show):
    show.act(10, "心电图", "An ECG, and the report back",
             "心电图机经串口发送文件：提交后才确认；在沙箱子进程中解码。机器自述急性心梗，警报立即到医生；"
             "心电中心收到后开始计时，30 分钟内报告；危急值须逐字复述。",
             "The cart sends its file over a serial line: acknowledged after commit, decoded by a child "
             "that can open nothing. Its own statement of an infarction calls the doctor at once. "
             "When the county's ECG centre has all of it the clock starts: a report is due in 30 "
             "minutes, and a critical value is read back word by word.")
    a, site, words = show.accounts, show.site, "急性下壁心肌梗死"
    known, when = len(a.alerts_arrived), datetime.now(ZoneInfo(site.ZONE))
    show.tell("cart-1", "record " + json.dumps(
        {"patient": "R-0001", "hr": 84, "time": when.strftime("%Y-%m-%dT%H:%M:%S"), "age": 68,
         "statements": ["窦性心律", words + "可能"]}))
    show.until(lambda: len(a.alerts_arrived) > known, "the alert at the platform")
    show.until(lambda: any(s["report"]["state"] == "waiting" for s in a.studies.values()),
               "the centre's receipt")
    study = next(iter(a.studies))
    show.breathe(1)
    show.acknowledge(show.open_alerts()[-1], "referred")
    waiting = show.cli("ecg", "--open")["studies"][0]
    show.say("nurse", "run", f"vitalgate ecg --open · {waiting['resident']} {waiting['state']}, due "
             + waiting["due"][11:16] + " UTC")
    sheet = site.path("sheet.png")
    show.cli("ecg", study[:8], "--png", sheet)
    show.say("nurse", "run", f"vitalgate ecg {study[:8]} --png sheet.png · "
             f"{os.path.getsize(sheet)} bytes")
    show.breathe(1.6)
    known = len(a.alerts_arrived)
    ecg_report(show, study, "critical", critical=words, text="II III aVF ST段抬高")
    show.until(lambda: len(a.alerts_arrived) > known, "the critical value")
    show.breathe(1)
    show.say("doctor", "run", f"vitalgate ecg readback {study[:8]} {words} --by D-0001")
    critical = show.open_alerts()[-1]["id"]
    show.cli("ecg", "readback", study[:8], words, "--by", "D-0001")
    show.until(lambda: "acknowledged" in a.alerts_arrived[critical],
               "its acknowledgement at the platform")
    ecg_report(show, study, "final", text="急性下壁心肌梗死，建议立即转诊")
    show.until(lambda: a.studies[study]["report"]["state"] == "reported" and show.all_here(),
               "the final report")
    show.breathe(1.6)


def act_fridge(show):
    show.act(11, "疫苗冰箱", "The vaccine fridge",
             f"门没关，超过 8 °C。演示中 {WARM_S} 秒即报，实际 10 分钟；恢复后警报锁定，直到有人确认。",
             "Its door stands open. Above 8 °C staff are told, no doctor: in this hurry after "
             f"{WARM_S} s, else after 10 minutes. When it is good again the alert is over, and stays "
             "until somebody has looked.")
    a = show.accounts
    known, show.in_fridge = len(a.alerts_arrived), True
    show.tell("fridge-1", "set 1 door 1")
    show.tell("fridge-1", "drift 1 temp 1.3 0.5")
    show.until(lambda: a.shown["fridge-1"][-1][1] > (8,), "the fridge's warmth")
    show.tell("fridge-1", "drift 1 temp off")
    show.until(lambda: len(a.alerts_arrived) > known, "the alert at the platform")
    show.breathe(1.2)
    show.say("nurse", "do", "closes the door 关好冰箱门")
    show.tell("fridge-1", "set 1 door 0")
    show.tell("fridge-1", "set 1 temp 4.8")
    warm = show.open_alerts()[-1]["id"]
    show.until(lambda: "ended" in a.alerts_arrived[warm], "the end of the fridge's alert")
    show.breathe(0.8)
    show.say("nurse", "run", f"vitalgate ack {warm[:8]} reached")
    show.cli("ack", warm[:8], "reached")
    show.until(lambda: "acknowledged" in a.alerts_arrived[warm], "its acknowledgement")
    show.breathe(0.8)
    show.in_fridge = False


def act_power(show):
    show.act(12, "断电", "Power cut",
             f"巡诊包里的血压计存有 {BATCH} 条读数，无线信号不稳；传到一半，守护进程被 kill -9。",
             f"The cuff of the visit case delivers {BATCH} readings over a weak radio link. In the "
             "middle of it the daemon is killed. What was not confirmed stays in the cuff and "
             "comes again; what comes twice is known.")
    a, site = show.accounts, show.site
    show.folded = {"cuff-3": "R-0004"}
    site.cuff("cuff-3", "--random", str(BATCH), "--cuff-errors", "0", "--criticals", "0.008",
              "--seed", "195", "--drop-before-confirm-processing", "0.01")

    def told():
        show.hear_all()     # and nothing slow: it must be the middle
        return a.told_by("cuff-3") >= BATCH // 4
    show.until(told, "the first readings of the visit case")
    site.kill("core")
    a.outages.append([boottime(), None])
    show.say("gateway", "down", "kill -9 of vitalgated, in the middle of it", "alert")
    if os.geteuid():    # a pty, unlike a real line, stays in exclusive use; only root may pass
        for name in ("lab-1", "ox-1"):
            show.tell(name, "unplug")
            show.tell(name, "plug")
    show.breathe(0.5)
    show.cuff("cuff-1", 138, 86, 70)
    show.cuff("cuff-4", 144, 84, 72)
    show.lab("R-0002", "GLU", "7.8", "mmol/L")
    show.breathe(2.5)
    kept = a.told_by("cuff-3")
    show.say("cuff-3", "note", f"{kept} of {BATCH} were confirmed to it; it keeps the other "
             f"{BATCH - kept}")
    t = boottime()
    site.restart("core")
    show.until(site.answers, "the daemon's start")
    show.say("gateway", "up", f"vitalgated answers again after {milliseconds(boottime() - t)}",
             "good")
    show.until(show.all_here, "everything at the platform after the power cut")
    a.outages[-1][1] = boottime()
    show.tally_at = 0
    show.say_tally(boottime())
    missing, twice, _ = a.compare()
    show.say("gateway", "note", f"missing {len(missing)}, twice {len(twice)}; {a.told_again()} "
             "came again and were known", "good")
    show.breathe(1)
    show.folded = {}


def act_broker(show):
    show.act(13, "断网", "The network goes away",
             "平台连不上：读数照收、照存、照确认；恢复后警报先行，积压送清。",
             "No broker: readings are taken, stored and confirmed all the same. When it is back, "
             "alerts go first and the backlog drains, until the platform has receipted each.")
    a, site = show.accounts, show.site
    site.kill("broker")
    a.outages.append([boottime(), None])
    show.say("site", "down", "mosquitto is gone", "alert")
    for high, low, pulse in ((134, 82, 72), (184, 112, 90), (139, 85, 75)):
        show.breathe(1)
        show.cuff("cuff-1", high, low, pulse)
        show.lab("R-0002", "GLU", f"{show.dice.uniform(4.5, 9):.1f}", "mmol/L")
    show.breathe(1.5)
    show.until(lambda: len(a.told) == len(a.measured), "the instruments' confirmations")
    waiting = show.cli("status")["counts"]
    show.say("gateway", "note", f"积压 backlog: {waiting['outbox_pending'] + waiting['outbox_sent']} "
             "messages wait in the store", "warn")
    show.breathe(1)
    t = boottime()
    site.restart("broker")
    if not harness.wait_until(site.broker_answers):
        raise Trouble("mosquitto does not come back: " + site.log("broker").strip()[-200:])
    show.say("site", "up", "mosquitto is back, and has forgotten everything", "good")
    show.until(show.all_here, "the backlog at the platform")
    a.outages[-1][1] = boottime()
    show.say("gateway", "note", f"积压 backlog 0, {milliseconds(boottime() - t)} after the "
             "broker's return", "good")
    show.breathe(1)
    for alert in show.open_alerts():
        show.acknowledge(alert, show.dice.choice(("reached", "advised", "referred")))


def act_day(show):
    show.act(14, "平常的一天", "An ordinary day", "直到时间结束，或按 Ctrl-C。",
             "Until the time is over, or Ctrl-C.")
    dice = show.dice
    measures = boottime() < show.end - 12
    if measures:
        show.finger(96, 66)
    for n in itertools.count():
        if n > 1 and boottime() > show.end - 2.5:
            break
        if dice.random() < 0.5:
            high = dice.randint(112, 148)
            show.cuff("cuff-1", high, high * 3 // 5, dice.randint(58, 88))
        else:
            show.lab("R-0002", *dice.choice((("GLU", f"{dice.uniform(4.5, 11):.1f}", "mmol/L"),
                                             ("HbA1c", f"{dice.uniform(5.5, 8):.1f}", "%"))))
        show.breathe(dice.uniform(1.5, 2.5) * min(1, show.pace), scaled=False)
    if measures:
        show.finger_out()
    show.tell("fridge-1", "refuse 1 on")
    show.say("fridge-1", "note", "off the network, so that the accounts stand still", "dim")
    show.until(show.all_here, "the last readings at the platform")


ACTS = (act_site, act_ordinary, act_pressure, act_glucose, act_nobody, act_visit, act_meter, act_enrol,
        act_fingers, act_ecg, act_fridge, act_power, act_broker, act_day)
