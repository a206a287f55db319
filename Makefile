# vitalgate. `make deps` once (Debian 12, as root), then `make`, `make test`, `make demo`.
# SAN=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer into build-san/.

CC ?= gcc
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
VERSION := 0.1.0

ifeq ($(SAN),1)
B := build-san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
export UBSAN_OPTIONS := print_stacktrace=1
else
B := build
HARDEN := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection
endif
export VITALGATE_BUILD := $(B)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wconversion -Wno-sign-conversion -Werror
CPPFLAGS += -Iinclude -Idaemon -I$(B) -D_GNU_SOURCE -DVITALGATE_VERSION='"$(VERSION)"' -DVITALGATE_TABLES='"$(PREFIX)/share/vitalgate"' \
	-DVITALGATE_LIBEXEC='"$(PREFIX)/libexec/vitalgate"'
CFLAGS += -std=gnu17 -O2 -g $(WARN) $(HARDEN) $(SANFLAGS) -fPIE -pthread -ffile-prefix-map=$(CURDIR)=.
LDFLAGS += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) -pthread

CORE_LIBS := -lsystemd -lmodbus -lsqlite3 -ljansson -lyaml -lmd -lbluetooth -lsodium
UPLINK_LIBS := -lsystemd -lyaml -ljansson -lpaho-mqtt3as
ECG_LIBS := -lexpat -lseccomp

CORE_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c)) $(wildcard drivers/*.c)
CORE_OBJ := $(CORE_SRC:%.c=$(B)/%.o)
UPLINK_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard daemon/uplink/*.c))
ECG_SRC := $(filter-out daemon/ecg/main.c,$(wildcard daemon/ecg/*.c))
CLI_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard daemon/cli/*.c))
PROGRAMS := $(B)/vitalgated $(B)/vitalgate-uplink $(B)/vitalgate $(B)/vitalgate-ecg
UNIT_TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/test_*.c))
PY_TESTS := $(filter-out tests/test_bluez.py,$(wildcard tests/test_*.py))
# fuzz_gatt.c is built once for each driver of a Bluetooth LE instrument: gatt_bt_blp ...
LE_DRIVERS := $(patsubst drivers/%.c,%,$(shell grep -lE 'VG_BUS_(GATT|ADVERT)' drivers/*.c))
FUZZERS := $(filter-out gatt,$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))) $(LE_DRIVERS:%=gatt_%)
ECG_FUZZERS := scp aecg ecg90a dicom
TEST_HELPERS := $(B)/tests/slowdisk.so $(B)/tests/escape.so $(B)/tests/wrongclock.so $(B)/tests/codes_probe $(B)/tests/xmodem_probe $(B)/tests/scenario
FUZZ_RUN ?= 20s
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= -1
# Tests wait more than they work. Some hold a clock against what they test.
TEST_JOBS ?= 4
timed = $(patsubst %/test_serial,"alone %/test_serial",$1)

.PHONY: all test check have-deps test-san sanitized test-bluez test-township test-kill test-alerts demo bench accept lint format install clean deps fuzz
all: $(PROGRAMS)

$(B)/core.a: $(CORE_OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(B)/ecg.a: $(ECG_SRC:%.c=$(B)/%.o)
	@rm -f $@
	@ar rcs $@ $^

$(B)/vitalgated: $(B)/daemon/main.o $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

# In `rules test` the clock is that of the readings.
$(B)/vitalgate: $(CLI_OBJ) $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -Wl,--wrap=clock_utc_us,--wrap=clock_boot_us -o $@ $^ $(CORE_LIBS) -lcairo -lm

$(B)/vitalgate-uplink: $(UPLINK_OBJ) $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(UPLINK_LIBS)

# Of the core it takes the writer of JSON: no library comes in with it.
$(B)/vitalgate-ecg: $(B)/daemon/ecg/main.o $(B)/ecg.a $(B)/core.a
	@echo "  LD    $@"
	@$(CC) $(LDFLAGS) -o $@ $^ $(ECG_LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The schema is read as SQL by people and as a string by the compiler.
$(B)/schema.inc: daemon/schema.sql
	@mkdir -p $(@D)
	@sed -e 's/[[:space:]]*--.*//' -e '/^[[:space:]]*$$/d' -e 's/.*/"&\\n"/' $< >$@
$(B)/daemon/db.o: $(B)/schema.inc

# test_x.c may have a folder tests/x/ with more sources.
.SECONDEXPANSION:
$(B)/tests/test_%: tests/test_%.c $$(wildcard tests/$$*/*.[ch]) $(wildcard tests/*.h) $(B)/ecg.a $(B)/core.a
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Itests $(LDFLAGS) -o $@ $< $(wildcard tests/$*/*.c) $(B)/ecg.a $(B)/core.a -lcmocka $(CORE_LIBS) $(ECG_LIBS)

# Whether a time server is there is the test's to say.
$(B)/tests/test_station $(B)/tests/test_checkin: LDFLAGS += -Wl,--wrap=clock_synced

$(B)/tests/codes_probe $(B)/tests/xmodem_probe: $(B)/tests/%: tests/%.c $(B)/core.a
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)

# Its clock is the scenario's.
$(B)/tests/scenario: tests/scenario.c $(wildcard tests/scenario/*.[ch]) $(B)/core.a
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -Itests $(LDFLAGS) -Wl,--wrap=clock_utc_us,--wrap=clock_boot_us,--wrap=clock_boot_id,--wrap=clock_synced -o $@ $(filter %.c %.a,$^) $(CORE_LIBS)

# A fuzz target sees the sources it needs and nothing else, always with sanitizers.
fuzz_main = tests/fuzz/fuzz_$(if $(filter gatt_%,$1),gatt,$1).c
fuzz_of = $(patsubst gatt_%,%,$1)
fuzz_ecg = $(filter-out daemon/ecg/sandbox.c,$(ECG_SRC)) daemon/json.c -lexpat
fuzz_src = $(if $(filter att,$1),daemon/att.c daemon/att_find.c,$(if $(filter $(ECG_FUZZERS),$1),$(fuzz_ecg),\
	$(wildcard drivers/$(fuzz_of).c))) $(if $(filter gatt_%,$1),-DDRIVER=$(fuzz_of))
FUZZ_FLAGS := -std=gnu17 -D_GNU_SOURCE -Iinclude -Idaemon -Itests/fuzz -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
$(FUZZERS:%=$(B)/tests/fuzz_%): $(B)/tests/fuzz_%: $$(call fuzz_main,$$*) tests/fuzz/smoke.c $(wildcard daemon/att*.[ch] daemon/ecg/*.[ch] daemon/json.[ch] drivers/*.c include/vitalgate/*.h tests/fuzz/*.h)
	@mkdir -p $(@D)
	@echo "  CC    $@"
	@$(CC) $(FUZZ_FLAGS) -o $@ $< tests/fuzz/smoke.c $(call fuzz_src,$*)

$(B)/tests/slowdisk.so: tests/bluez/slowdisk.c
$(B)/tests/escape.so: tests/ecg_sandbox/escape.c
$(B)/tests/wrongclock.so: tests/clock_steps/wrongclock.c
$(B)/tests/slowdisk.so $(B)/tests/escape.so $(B)/tests/wrongclock.so:
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o $@ $< -ldl -pthread

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

test: have-deps
	@$(MAKE) --no-print-directory -j2 check

check: $(PROGRAMS) $(UNIT_TESTS) $(FUZZERS:%=$(B)/tests/fuzz_%) $(TEST_HELPERS)
	@tests/run --jobs $(TEST_JOBS) $(call timed,$(UNIT_TESTS)) \
		$(foreach f,$(FUZZERS),"nice -n 19 $(B)/tests/fuzz_$f $(FUZZ_RUN) $(wildcard tests/captures/$(call fuzz_of,$f)/*.cap)") \
		$(PY_TESTS)

# The same code under AddressSanitizer and UndefinedBehaviorSanitizer. paho leaks by itself: the programs run
# without the leak check, the unit tests with it.
test-san: have-deps
	@$(MAKE) --no-print-directory -j2 SAN=1 sanitized
sanitized: $(PROGRAMS) $(UNIT_TESTS) $(TEST_HELPERS)
	@tests/run --jobs $(TEST_JOBS) $(call timed,$(UNIT_TESTS)) tests/test_captures.py
	@ASAN_OPTIONS=detect_leaks=0 VITALGATE_KILLS=40 tests/run --jobs $(TEST_JOBS) tests/test_kill.py tests/test_ble_e2e.py \
		tests/test_enrol_e2e.py tests/test_e2e.py

test-bluez: $(PROGRAMS) $(TEST_HELPERS)
	@tests/run --verbose --timeout 2400 tests/test_bluez.py

# kill -9 of the core at 500 moments while alerts are raised, acknowledged and passed on; `make test` has 40 of them.
test-kill: $(PROGRAMS) $(TEST_HELPERS)
	@VITALGATE_ALERT_KILLS=500 tests/run --timeout 1200 tests/test_alert_kill.py

# A scripted year of 3,000 residents against the independent model: make test-township TOWNSHIP="--seed 2"
test-township: $(B)/tests/scenario
	@/usr/bin/python3 tests/township_test.py $(TOWNSHIP)

# A million readings against the independent model of alerts: make test-alerts ALERTS="9 10 --readings 50000"
test-alerts: $(B)/tests/scenario
	@/usr/bin/python3 tests/alerts_test.py $(ALERTS)

demo: have-deps
	@$(MAKE) -s -j2 all
	@/usr/bin/python3 tests/demo.py

# Coverage-guided, for as long as you like: make fuzz FUZZ_SECONDS=3600
# or as often: make fuzz-scp FUZZ_RUNS=10000000 FUZZ_SECONDS=0
fuzz: $(FUZZERS:%=fuzz-%)
fuzz-%:
	@mkdir -p build-fuzz/$*
	clang -fsanitize=fuzzer $(FUZZ_FLAGS) -o build-fuzz/fuzz_$* $(call fuzz_main,$*) $(call fuzz_src,$*)
	build-fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -runs=$(FUZZ_RUNS) -print_final_stats=1 build-fuzz/$*

bench: $(PROGRAMS)
	@/usr/bin/python3 tests/bench.py $(BENCH)

# What captures decode to now becomes what is expected: read the difference. DRIVER=lis01: its captures only.
accept: $(B)/vitalgate
	@tests/test_captures.py --accept $(DRIVER)

# --- care

FORMATTED := $(wildcard include/vitalgate/*.h daemon/*.[ch] daemon/*/*.[ch] drivers/*.[ch] tests/*.[ch] tests/*/*.[ch])
format:
	@clang-format -i $(FORMATTED)

lint:
	@clang-format --dry-run -Werror $(FORMATTED)

# Into a running system (no DESTDIR) it also makes the users and gives them their files.
install: all
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin sbin libexec/vitalgate share/vitalgate/profiles share/vitalgate/hooks share/dbus-1/system.d \
		lib/systemd/system lib/sysusers.d lib/tmpfiles.d) $(DESTDIR)$(SYSCONFDIR)/vitalgate
	install -d -m 0700 $(DESTDIR)$(SYSCONFDIR)/vitalgate/credentials
	install -m 0755 $(B)/vitalgated $(B)/vitalgate-uplink $(DESTDIR)$(PREFIX)/sbin/
	install -m 0755 $(B)/vitalgate $(DESTDIR)$(PREFIX)/bin/
	install -m 0755 $(B)/vitalgate-ecg $(DESTDIR)$(PREFIX)/libexec/vitalgate/
	install -m 0644 config/*.csv config/alerts.yaml $(DESTDIR)$(PREFIX)/share/vitalgate/
	install -m 0644 config/profiles/*.yaml $(DESTDIR)$(PREFIX)/share/vitalgate/profiles/
	install -m 0755 config/hooks/*.sh $(DESTDIR)$(PREFIX)/share/vitalgate/hooks/
	install -m 0644 systemd/vitalgated.service systemd/vitalgate-uplink@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/
	sed -i 's,=/usr/sbin/,=$(PREFIX)/sbin/,' $(DESTDIR)$(PREFIX)/lib/systemd/system/vitalgate*.service
	install -m 0644 systemd/vitalgate.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/vitalgate.conf
	install -m 0644 systemd/vitalgate.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/vitalgate.conf
	install -m 0644 config/50-vitalgate.dbus.conf $(DESTDIR)$(PREFIX)/share/dbus-1/system.d/50-vitalgate.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/vitalgate/vitalgate.yaml || install -m 0640 config/vitalgate.yaml $(DESTDIR)$(SYSCONFDIR)/vitalgate/
	test -n "$(DESTDIR)" || { systemd-sysusers vitalgate.conf && systemd-tmpfiles --create vitalgate.conf; }
	test -n "$(DESTDIR)" || test ! -d /run/systemd/system || { systemctl daemon-reload && systemctl try-reload-or-restart dbus; }

clean:
	rm -rf build build-san build-fuzz

PACKAGES := gcc make libc6-dev libsystemd-dev libsqlite3-dev libpaho-mqtt-dev libmodbus-dev \
	libbluetooth-dev libyaml-dev libjansson-dev libmd-dev libssl-dev libcmocka-dev tzdata \
	libexpat1-dev libseccomp-dev libcairo2-dev libsodium-dev lrzsz fonts-droid-fallback \
	mosquitto mosquitto-clients dbus socat openssl sqlite3 clang-format python3 \
	python3-paho-mqtt python3-dbusmock python3-yaml binutils iproute2 util-linux systemd-container \
	e2fsprogs mount

deps:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PACKAGES)

# A fresh machine gets what is missing; whoever may not install is told what to do.
have-deps:
	@dpkg -s $(PACKAGES) >/dev/null 2>&1 || \
		if [ "$$(id -u)" = 0 ]; then $(MAKE) -s deps; else echo "packages are missing: run \`make deps\` as root" >&2; exit 1; fi
