# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bench found: printed as it comes, kept for bench.json, in the end held against aims."""
import statistics


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def in_turns(rounds, *measures):
    """Lists of what each measure gave; every second round they run the other way round."""
    results = [[] for _ in measures]
    for turn in range(rounds):
        for result, measure in list(zip(results, measures))[::-1 if turn % 2 else 1]:
            result.append(measure())
    return results


class Table:
    def __init__(self):
        self.rows, self.sections, self.aims = [], {}, []
        self.lost = self.doubles = 0
        self.title = ""

    def head(self, text):
        self.title = text
        print(f"\n{text}\n{'':44}{'floor':>11}{'vitalgate':>11}{'ratio':>8}", flush=True)

    def add(self, name, unit, floor, value, ratio=None, note=""):
        """`ratio`: of vitalgate to the floor; from pairs of runs, else of the two figures."""
        if ratio is None and floor and value is not None:
            ratio = value / floor
        self.rows.append({"of": self.title, "name": name, "unit": unit, "floor": floor,
                          "vitalgate": value, "ratio": ratio, "note": note})
        shown = [f"{v:>11.{0 if v >= 1000 else 1 if v >= 10 else 2}f}" if v is not None else
                 f"{'-':>11}" for v in (floor, value)]
        print(f"{name + ', ' + unit:44}{shown[0]}{shown[1]}"
              f"{f'{ratio:8.2f}' if ratio is not None else '       -'}  {note}", flush=True)
        return ratio

    def add_pairs(self, name, unit, floors, values, note=""):
        """Medians of runs in turns; the ratio is the median of the pairs'."""
        return self.add(name, unit, statistics.median(floors), statistics.median(values),
                        statistics.median(v / f for f, v in zip(floors, values)), note)

    def keep(self, section, row):
        self.sections.setdefault(section, []).append(row)

    def account(self, *runs):
        for run in runs:
            self.lost += run["lost"]
            self.doubles += run["doubles"]

    def aim(self, text, unit, at_most, measured, at_least=None):
        """`measured`: None when there was nothing to measure, which is not met either."""
        met = measured is not None and (measured <= at_most if at_least is None else
                                        measured >= at_least)
        self.aims.append({"aim": text, "unit": unit, "at_most": at_most, "at_least": at_least,
                          "measured": measured, "met": met})

    def show_aims(self):
        print(f"\n{'aim':76}{'':8}{'measured':>9}", flush=True)
        for aim in self.aims:
            sign, limit = ((">=", aim["at_least"]) if aim["at_most"] is None else
                           ("<=", aim["at_most"]))
            shown = "-" if aim["measured"] is None else f"{aim['measured']:.2f}"
            print(f"{aim['aim'] + ', ' + aim['unit']:76}{sign} {limit:<5g}{shown:>9}"
                  f"  {'met' if aim['met'] else 'not met'}")
